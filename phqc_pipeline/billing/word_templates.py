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
from functools import cached_property
from pathlib import Path
from typing import Any

from docxtpl import DocxTemplate
from jinja2 import Environment, StrictUndefined, Template, TemplateError

TEMPLATES = Path(__file__).resolve().parent / "templates"

_PARTS = re.compile(r"word/(document|header\d*|footer\d*)\.xml")
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
        except TemplateError as fault:
            raise TemplateFaultError(
                f"模板 {self.path.name}：{fault}；请在 Word 里改正占位，或删去它改用自带的模板"
            ) from None
        return str(self._reader.resolve_listing(filled))

    @cached_property
    def _compiled(self) -> dict[str, Template]:
        environment = Environment(autoescape=True, undefined=StrictUndefined)
        found = {}
        for name, content in self._parts.items():
            text = content.decode("utf-8") if _PARTS.fullmatch(name) else ""
            if "{" in text:
                patched = self._reader.patch_xml(text)
                try:
                    found[name] = environment.from_string(patched)
                except TemplateError as fault:
                    raise TemplateFaultError(
                        f"模板 {self.path.name} 的占位写得不对：{fault}；请对照自带的模板改正"
                    ) from None
        return found

    @cached_property
    def _reader(self) -> DocxTemplate:
        return DocxTemplate(self.path)
