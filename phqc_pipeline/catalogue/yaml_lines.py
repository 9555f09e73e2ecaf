"""YAML with line numbers, fast.

Belongs here: one file → plain values and the line each of them stands on; YAML faults in words a person can act on.
Does not belong here: what the values mean.

PyYAML's C parser composes the nodes (ruamel's round-trip loader, the alternative, takes nine times as long on
the whole catalogue); the values are made here, by YAML 1.2's core rules, so that ``no``, ``on`` and ``12:30`` stay
text and a number with a leading zero (``01``) stays the code that was written.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

from phqc_pipeline.catalogue.faults import Fault

Path_ = tuple[Any, ...]  # keys and indexes from the top of the document to a value


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Composes nodes without guessing their tags: that is done here, from the text and its quotes."""

    def resolve(self, kind: Any, value: Any, implicit: Any) -> str:
        return ""


_INT = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?([0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+)")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_DEEPEST = 30  # a document nested deeper than this is an alias that contains itself
_TRUTHS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}


@dataclass(frozen=True, eq=False)
class Document:
    """One YAML file: its values, and the line (from 1) of every value by its path."""

    file: str
    data: Any
    lines: dict[Path_, int]

    def line(self, path: Path_ = ()) -> int:
        """The line of the value at ``path``, or of the nearest value around it."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


def read_yaml(path: Path, file: str) -> tuple[Document | None, list[Fault]]:
    """Read one file; ``file`` is what faults call it. None if it cannot be parsed; doubled keys are faults too."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = path.read_bytes()[: error.start].count(b"\n") + 1
        return None, [Fault(file, line, "", "文件不是 UTF-8 编码", "用编辑器另存为 UTF-8")]
    except OSError as error:
        return None, [Fault(file, 0, "", f"文件读不出来（{error.strerror}）", "检查文件是否存在、有无读取权限")]
    return parse_yaml(text, file)


def parse_yaml(text: str, file: str) -> tuple[Document | None, list[Fault]]:
    """The same for text at hand."""
    try:
        root = yaml.compose(text, Loader=_Loader)
    except yaml.YAMLError as error:
        return None, [_syntax_fault(error, text, file)]
    faults: list[Fault] = []
    lines: dict[Path_, int] = {}
    data = None if root is None else _value(root, (), lines, faults, file)
    return Document(file, data, lines), faults


def _value(node: Any, path: Path_, lines: dict[Path_, int], faults: list[Fault], file: str) -> Any:
    lines.setdefault(path, node.start_mark.line + 1)
    if len(path) > _DEEPEST:
        problem, remedy = "层次过深（别名引用了自身？）", "去掉 & 和 * 写法，直接写出内容"
        faults.append(Fault(file, node.start_mark.line + 1, "", problem, remedy))
        return None
    if node.tag:
        problem, remedy = f"不支持 YAML 标签 {node.tag}", "去掉以 ! 开头的标记；要当文字就给值加引号"
        faults.append(Fault(file, node.start_mark.line + 1, "", problem, remedy))
    if isinstance(node, yaml.MappingNode):
        found: dict[Any, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            key = _key(key_node, faults, file)
            if key in found:
                problem, remedy = f"同一处把“{key}”写了两遍", f"删去其中一个“{key}”"
                faults.append(Fault(file, line, "", problem, remedy))
                continue
            lines[(*path, key)] = line
            found[key] = _value(value_node, (*path, key), lines, faults, file)
        return found
    if isinstance(node, yaml.SequenceNode):
        return [_value(child, (*path, index), lines, faults, file) for index, child in enumerate(node.value)]
    return _scalar(node.value, plain=not node.style)


def _key(node: Any, faults: list[Fault], file: str) -> Any:
    if isinstance(node, yaml.ScalarNode):
        return node.value  # as written: a key is always text
    problem, remedy = "键不是一个词", "冒号左边只写一个词；含 { 或 [ 的文字要加引号"
    faults.append(Fault(file, node.start_mark.line + 1, "", problem, remedy))
    return str(node.start_mark.line)


def _scalar(text: str, plain: bool) -> Any:
    if not plain:
        return text
    if text in _NULLS:
        return None
    if text in _TRUTHS:
        return _TRUTHS[text]
    if _INT.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    if _DATE.fullmatch(text):
        try:
            return date.fromisoformat(text)
        except ValueError:
            return text
    return text


def _syntax_fault(error: yaml.YAMLError, text: str, file: str) -> Fault:
    mark = getattr(error, "problem_mark", None)
    if str(getattr(error, "context", None)).startswith(("while scanning a quoted", "while parsing a flow")):
        mark = getattr(error, "context_mark", None) or mark  # where the quote or bracket opened that never closes
    line = mark.line + 1 if mark else 0
    said = getattr(error, "problem", None) or str(error).splitlines()[0]
    remedy = "检查该行及上一行的缩进、冒号后的空格和引号；含“: ”、“#”或以 ' \" [ { * & % @ 开头的文字要整体加引号"
    lines = text.splitlines()
    if line and line <= len(lines) and "\t" in lines[line - 1][: len(lines[line - 1]) - len(lines[line - 1].lstrip())]:
        remedy = "行首用空格缩进，不能用制表符（Tab）"
    return Fault(file, line, "", f"YAML 语法错误（{said}）", remedy)
