"""Word templates that a clerk can edit, filled in by the hundred.

Belongs here: opening a template once and filling it many times. Does not belong here: what is filled in
(``documents``).

The tags are docxtpl's (``{{ 合同编号 }}``, ``{%tr for … %}``), which also cleans up what Word does to them. docxtpl
opens, parses and writes the whole package for every document, some 80 ms; a template opened here takes a few ms.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Mapping
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import Any

from docxtpl import DocxTemplate
from jinja2 import Environment, StrictUndefined, Template, TemplateError, UndefinedError
from jinja2.sandbox import SandboxedEnvironment

TEMPLATES = Path(__file__).resolve().parent / "templates"

_PARTS = re.compile(r"word/(document|header\d*|footer\d*)\.xml")
_MARKUP = re.compile(r"<[^>]*>")
_TAG = re.compile(r"\{\{.*?\}\}", re.DOTALL)
#: Braces as a Chinese keyboard writes them: no placeholder, and what stands in them would be printed as it is.
_WIDE = re.compile(r"｛[｛{].{0,20}|\{｛.{0,20}")
#: A document is the same bytes whenever it says the same.
_MOMENT = (2024, 11, 1, 0, 0, 0)


class TemplateFaultError(RuntimeError):
    """A template cannot be read, or asks for what is not there; says which, and what to do."""


class WordTemplate:
    """One template, opened once."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with zipfile.ZipFile(path) as package:
                self._parts = {name: package.read(name) for name in package.namelist()}
        except (OSError, zipfile.BadZipFile) as broken:
            raise TemplateFaultError(
                f"模板 {path.name} 打不开（{broken}）；请用 Word 另存为 .docx，或删去它改用自带的模板"
            ) from None

    def fill(self, context: Mapping[str, Any]) -> bytes:
        """The document. Raises TemplateFaultError for a name the template asks for that ``context`` does not have."""
        made = io.BytesIO()
        with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as package:
            for name, content in self._parts.items():
                told = self._render(name, context).encode() if name in self._compiled else content
                package.writestr(zipfile.ZipInfo(name, _MOMENT), told, zipfile.ZIP_DEFLATED)
        return made.getvalue()

    def _render(self, name: str, context: Mapping[str, Any]) -> str:
        try:
            filled = self._compiled[name].render(context)
        except UndefinedError as fault:
            raise self._fault(_unknown(str(fault), context)) from None
        except (TemplateError, TypeError, ValueError, ArithmeticError, LookupError) as fault:
            # what it says may quote what was to be filled in: names, telephones
            raise self._fault(f"有一处占位算不出来（{type(fault).__name__}）") from None
        return str(self._reader.resolve_listing(filled))

    @cached_property
    def _compiled(self) -> dict[str, Template]:
        environment = SandboxedEnvironment(autoescape=True, undefined=StrictUndefined)
        found = {}
        for name, content in self._parts.items():
            text = content.decode("utf-8") if _PARTS.fullmatch(name) else ""
            if wide := _WIDE.search(_MARKUP.sub("", text)):
                raise self._fault(f"“{wide[0]}”用了全角的花括号，请改成半角 {{{{ }}}}")
            if "{" in text:
                patched = self._reader.patch_xml(text)
                try:
                    found[name] = environment.from_string(patched)
                except TemplateError as fault:
                    raise self._fault(_miswritten(patched, environment, fault)) from None
        return found

    def _fault(self, what: str) -> TemplateFaultError:
        return TemplateFaultError(f"模板 {self.path.name}：{what}；请在 Word 里改正占位，或删去它改用自带的模板")

    @cached_property
    def _reader(self) -> DocxTemplate:
        return DocxTemplate(self.path)


def _unknown(said: str, context: Mapping[str, Any]) -> str:
    """What is wrong with a placeholder that is not there, and the names most like it."""
    name = found[1] if (found := re.search(r"'([^']+)' is undefined|has no attribute '([^']+)'", said)) else None
    if name is None:
        return f"有一处占位算不出来（{said}）"
    near = get_close_matches(name, [one for one in context if not one.isascii()], n=3, cutoff=0.3)
    return f"没有“{name}”这个占位" + (f"，相近的有 {'、'.join(near)}" if near else "")


def _miswritten(patched: str, environment: Environment, fault: TemplateError) -> str:
    """The first placeholder that does not stand by itself, or what the whole lacks."""
    for tag in _TAG.findall(patched):
        try:
            environment.from_string(tag)
        except TemplateError:
            return f"占位“{_MARKUP.sub('', tag)}”写得不对：名称里不能有空格和符号，两边各两个花括号"
    return f"有一处占位没有成对（{{{{ 要有 }}}} 收尾，{{% for %}} 要有 {{% endfor %}}）：{fault}"
