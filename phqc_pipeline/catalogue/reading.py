"""Finding and reading the files of a catalogue folder, and collecting what is wrong with them.

Belongs here: which file lies where under ``rules/``, and the book in which every fault of one load is kept.
Does not belong here: what entries mean.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from phqc_pipeline.catalogue.faults import Fault
from phqc_pipeline.catalogue.model import Place
from phqc_pipeline.catalogue.schema import Model, check
from phqc_pipeline.catalogue.yaml_lines import Document, Path_, read_yaml

ENVELOPE_FILE = "forms/_envelope.yaml"
DERIVED_FILE = "derived.yaml"
SETTINGS_FILE = "settings.yaml"
GROWTH_FOLDER = "growth"
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_FOLDERS = {
    "forms": "表单字典（每表一个 YAML，另有 _envelope.yaml）",
    "codes": "代码表",
    "checks": "规则",
    "schemes": "质控方案",
    "plans": "质控计划",
}


@dataclass
class Reader:
    """One load of one folder: its files, each read once, and the faults found so far.

    ``broken`` holds names (fields, code lists, forms) whose own entry is faulty: what refers to them is not blamed too.
    """

    directory: Path
    faults: list[Fault] = field(default_factory=list)
    broken: set[str] = field(default_factory=set)

    def fault(self, document: Document | Place, path: Path_, where: str, problem: str, remedy: str) -> None:
        """Add a fault at ``path`` of a document, or at a place."""
        line = document.line if isinstance(document, Place) else document.line(path)
        self.faults.append(Fault(document.file, line, where, problem, remedy))

    def check_layout(self) -> bool:
        """Whether the folder is there at all; each sub-folder that is missing or empty is a fault."""
        if not self.directory.is_dir():
            remedy = "用 --rules 或环境变量 PHQC_RULES 指到含 forms、codes、checks 等子目录的文件夹"
            self.faults.append(Fault(str(self.directory), 0, "", "规则目录不存在", remedy))
            return False
        for name, title in _FOLDERS.items():
            if not any((self.directory / name).glob("*.yaml")):
                remedy = f"在其中放入至少一个 .yaml 文件：{title}"
                self.faults.append(Fault(f"{name}/", 0, "", "文件夹不存在或没有 .yaml 文件", remedy))
        for stray in sorted(self.directory.rglob("*.yml")):
            name = stray.relative_to(self.directory).as_posix()
            self.faults.append(Fault(name, 0, "", "扩展名 .yml 不会被读取", "改名为 .yaml"))
        return True

    def document(self, name: str, required: bool = True) -> Document | None:
        """One file by its name relative to the folder; a missing one is a fault if ``required``."""
        path = self.directory / name
        if not path.is_file():
            if required:
                self.broken.add(path.stem)
                self.faults.append(Fault(name, 0, "", "缺少文件", "按 rules/README.md 补上该文件"))
            return None
        document, faults = read_yaml(path, name)
        self.faults.extend(faults)
        if document is None:
            self.broken.add(path.stem)
        elif document.data is None:
            self.faults.append(Fault(name, 1, "", "文件是空的", "写上内容，或删去该文件"))
            return None
        return document

    def folder(self, name: str) -> Iterator[Document]:
        """Every readable ``.yaml`` of a sub-folder by name; those that begin with ``_`` are left out."""
        for path in sorted((self.directory / name).glob("*.yaml")):
            if not path.name.startswith("_"):
                document = self.document(f"{name}/{path.name}")
                if document is not None:
                    yield document

    def entries(self, document: Document, key: str) -> list[tuple[Path_, Any]]:
        """The list under ``key`` (or the document itself, if it is a list) as (path, entry)."""
        data = document.data
        path: Path_ = ()
        if isinstance(data, dict):
            strange = [other for other in data if other not in (key, "title", "note")]
            for other in strange:
                self.fault(document, (other,), "", f"不认识的键“{other}”", f"顶层只写“{key}:”，其下列出各条")
            if strange and key not in data:
                return []
            path, data = (key,), data.get(key)
        if not isinstance(data, list) or not data:
            self.fault(document, path, "", f"没有“{key}”列表，或列表是空的", f"写“{key}:”，其下每条以“- ”开头")
            return []
        return [((*path, index), entry) for index, entry in enumerate(data)]

    def check(self, kind: type[Model], value: Any, document: Document, path: Path_, where: str) -> Model | None:
        """``value`` as ``kind``, or None with its faults noted."""
        return check(kind, value, document, path, where, self.faults)

    def blamed(self, problem: str) -> bool:
        """Whether a problem is about something whose own entry is faulty already, so need not be told again."""
        return not self.broken.isdisjoint(_WORD.findall(problem))

    def forms_are_sound(self) -> bool:
        """Whether no form has a fault: only then can it be said that a rule finds no form or field at all."""
        return not any(fault.file.startswith("forms/") for fault in self.faults)

    def unique(self, places: dict[str, Place], word: str, place: Place, where: str, remedy: str) -> bool:
        """Whether ``word`` is new to ``places``; otherwise a fault that names the first place."""
        first = places.setdefault(word, place)
        if first is place:
            return True
        problem = f"“{word}”与 {first.file}:{first.line} 重复"
        self.faults.append(Fault(place.file, place.line, where, problem, remedy))
        return False


def place_of(document: Document, path: Path_) -> Place:
    return Place(document.file, document.line(path))


def label(entry: Any, keys: Iterable[str]) -> str:
    """The first of ``keys`` that a raw entry has as text; empty if it has none."""
    if isinstance(entry, dict):
        for key in keys:
            if isinstance(entry.get(key), str):
                return str(entry[key])
    return ""
