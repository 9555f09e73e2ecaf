"""What YAML says about extracts that differ from the dictionary: ``repeats:``, ``repairs.yaml``, ``sources/*.yaml``.

Belongs here: reading and judging these entries. Does not belong here: what they are (``delivered``), applying them
(``repairing``, ``extracts``).
"""

from __future__ import annotations

import string
import unicodedata
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

import polars as pl

from phqc_pipeline.catalogue.delivered import (
    EVERY_FORM,
    OtherUnit,
    Pair,
    Repairs,
    Repeats,
    Rewrite,
    SourceMap,
    Unit,
)
from phqc_pipeline.catalogue.faults import did_you_mean
from phqc_pipeline.catalogue.reading import Reader, label
from phqc_pipeline.catalogue.schema import PairIn, RepairsIn, RepeatsIn, RewriteIn, SourceIn, UnitIn
from phqc_pipeline.catalogue.yaml_lines import Document, Path_

if TYPE_CHECKING:
    from phqc_pipeline.catalogue.model import CodeList, Form

REPAIRS_FILE = "repairs.yaml"
SOURCES_FOLDER = "sources"
#: The name of the mere count of visits in ``groups``, where the form has no field for it.
COUNT = "#"

_SAMPLE_TIME = datetime(2024, 1, 31, 8, 5, 6)  # noqa: DTZ001 - a spelling is tried on it, no moment is meant


def header_key(text: str) -> str:
    """A header as it is compared: full-width letters made narrow, spaces dropped, letter case ignored."""
    return "".join(unicodedata.normalize("NFKC", text).split()).casefold()


# --- repeats ----------------------------------------------------------------------------------------------------


def read_repeats(
    reader: Reader, source: RepeatsIn, form: Form, document: Document, where: str, codes: Mapping[str, CodeList]
) -> Repeats:
    """A form's ``repeats:``; what is wrong with it is noted."""
    place: Path_ = ("repeats",)

    def fault(key: str, problem: str, remedy: str) -> None:
        reader.fault(document, (*place, key), where, problem, remedy)

    named = [("by", name) for name in source.by] + [("last", name) for name in source.last]
    named += [("fields", name) for name in source.fields] + ([("alone", source.alone)] if source.alone else [])
    for key, name in named:
        if not form.has(name) and name not in reader.broken:
            fault(key, f"字段 {name} 不存在", did_you_mean(name, form.by_name, "写该表单已有的字段名"))
    for name in set(source.fields) & set(source.by):
        fault("fields", f"字段 {name} 由表头决定，不能又重复", "从 fields 里去掉 by 的字段")
    factors = _factors(source, form, codes, fault)
    templates = _templates(source, factors, fault)
    fields = source.fields or [column.name for column in form.own_fields if column.name not in source.by]
    repeats = Repeats(
        by=tuple(source.by),
        factors=factors,
        templates=templates,
        fields=frozenset(fields),
        alone=source.alone or "",
        last=frozenset(source.last),
        bare_suffix=source.bare_suffix,
    )
    _check_marks(repeats, fault)
    return repeats


def marks(repeats: Repeats) -> dict[str, tuple[str, ...]]:
    """Every mark a header may bear, as compared → the values of ``by`` it stands for (or the number of the visit)."""
    names = list(repeats.factors)
    found: dict[str, tuple[str, ...]] = {}
    combined: list[tuple[tuple[str, ...], dict[str, str]]] = [((), {})]
    for name in names:
        combined = [
            ((*values, value), {**words, name: word})
            for values, words in combined
            for value, spelled in repeats.factors[name].items()
            for word in spelled
        ]
    for values, words in combined:
        for template in repeats.templates:
            found.setdefault(header_key(template.format(**words)), values)
    return found


def _factors(source: RepeatsIn, form: Form, codes: Mapping[str, CodeList], fault: Any) -> dict[str, Any]:
    if len(source.by) < 2:  # the groups are those of the one field, or of the count
        name = source.by[0] if source.by else COUNT
        given: dict[str, Any] = {name: source.groups}
    else:
        given = dict(source.groups)
        for name in sorted(set(given) ^ set(source.by)):
            fault("groups", f"by 与 groups 的字段不一致：{name}", "by 有几个字段，groups 下就写哪几个字段")
    factors: dict[str, Any] = {}
    for name, values in given.items():
        if isinstance(values, str):
            if values not in codes:
                fault("groups", f"没有代码表 {values}", did_you_mean(values, codes, "写代码表编号，或逐个列出值"))
                continue
            values = _spellings(codes[values])
        factors[name] = {str(value): _words(value, words, fault) for value, words in dict(values).items()}
        _check_values(name, factors[name], form, codes, fault)
    return factors


def _spellings(codes: CodeList) -> dict[str, list[str]]:
    return {entry.code: [entry.code, entry.name, *entry.synonyms] for entry in codes.codes}


def _words(value: str, words: Any, fault: Any) -> tuple[str, ...]:
    listed = words if isinstance(words, list) else [words]
    if not listed or not all(isinstance(word, str | int) and str(word).strip() for word in listed):
        fault("groups", f"值 {value} 的写法不是文字的列表", "写成 值: [写法, 写法]")
        return ()
    return tuple(str(word).strip() for word in listed)


def _check_values(name: str, values: Iterable[str], form: Form, codes: Mapping[str, CodeList], fault: Any) -> None:
    """A value the header gives must be one the field takes."""
    if not form.has(name):
        return
    column = form.field(name)
    known = codes[column.codes].by_code if column.codes and column.codes in codes else {}
    for value in values:
        if column.kind == "code" and known and value not in known:
            fault("groups", f"{value} 不是 {name} 的代码", f"写代码表 {column.codes} 里的代码")
        if column.kind == "int" and not value.isdigit():
            fault("groups", f"{value} 不是整数，{name} 是整数列", "写整数")


def _templates(source: RepeatsIn, factors: Mapping[str, Any], fault: Any) -> tuple[str, ...]:
    if not source.marks:
        if len(factors) > 1:
            fault("marks", "有几个 by 字段时要写 marks", "写出表头里几个值怎么连，如 '{vaccine_code}第{dose_no}剂'")
        return tuple("{" + name + "}" for name in factors) if len(factors) == 1 else ()
    for template in source.marks:
        try:
            names = {name for _, name, _, _ in string.Formatter().parse(template) if name is not None}
        except ValueError:
            names = set()
        if names != set(factors):
            fault("marks", f"“{template}”里应恰有 {'、'.join(factors)} 各一处", "花括号里写 by 的字段名")
            return ()
    return tuple(source.marks)


def _check_marks(repeats: Repeats, fault: Any) -> None:
    """In a single list of groups no mark may stand for two (of combined ones the first wins)."""
    owner: dict[str, str] = {}
    if len(repeats.factors) != 1:
        return
    for value, words in next(iter(repeats.factors.values())).items():
        for word in words:
            if owner.setdefault(header_key(word), value) != value:
                fault("groups", f"“{word}”同时指 {owner[header_key(word)]} 和 {value}", "一种写法只属于一个值")


# --- repairs ----------------------------------------------------------------------------------------------------


def read_repairs(reader: Reader, forms: Mapping[str, Form]) -> Repairs:
    """``repairs.yaml``; nothing is repaired where there is no such file."""
    document = reader.document(REPAIRS_FILE, required=False)
    if document is None:
        return Repairs()
    source = reader.check(RepairsIn, document.data, document, (), "自动换算")
    if source is None:
        return Repairs()
    names = {name for form in forms.values() for name in form.by_name}
    units = {header_key(column.unit) for form in forms.values() for column in form.fields if column.unit}
    seen: set[str] = set()
    written: list[tuple[Path_, RewriteIn | PairIn]] = [
        *((("rewrites", index), entry) for index, entry in enumerate(source.rewrites)),
        *((("pairs", index), entry) for index, entry in enumerate(source.pairs)),
    ]
    for path, one in written:
        where = f"自动换算 {one.id}"
        if one.id in seen:
            reader.fault(document, path, where, f"编号 {one.id} 重复", "改用另一个编号")
        seen.add(one.id)
        _check_pattern(reader, document, (*path, "pattern"), where, one.pattern)
    for index, unit in enumerate(source.units):
        said = f"自动换算 单位 {unit.units[0]}"
        for word in unit.units:
            if header_key(word) not in units and reader.forms_are_sound():
                problem, remedy = f"没有一个字段用单位“{word}”", "照字典里字段的 unit 写"
                reader.fault(document, ("units", index, "units"), said, problem, remedy)
    _check_fields(reader, document, source, names)
    return Repairs(
        tuple(_rewrite(entry) for entry in source.rewrites),
        tuple(_unit(entry) for entry in source.units),
        tuple(_pair(entry) for entry in source.pairs),
    )


def _check_pattern(reader: Reader, document: Document, path: Path_, where: str, pattern: str) -> None:
    try:
        pl.Series([""]).str.contains(pattern)
    except pl.exceptions.PolarsError:
        reader.fault(document, path, where, f"正则写法有误：{pattern}", "按 RE2 的写法改正（没有环视和反向引用）")


def _check_fields(reader: Reader, document: Document, source: RepairsIn, names: set[str]) -> None:
    used: list[tuple[Path_, str]] = []
    for index, unit in enumerate(source.units):
        for place, other in enumerate(unit.others):
            used += [(("units", index, "others", place, "fields"), name) for name in other.fields]
    for index, pair in enumerate(source.pairs):
        used += [(("pairs", index, "fields"), name) for two in pair.fields for name in two]
        firsts = [two[0] for two in pair.fields]
        for name in pair.headers:
            if name not in firsts:
                problem, remedy = f"headers 里的 {name} 不是哪一对的第一个字段", "写 fields 里每对的第一个字段"
                reader.fault(document, ("pairs", index, "headers", name), f"自动换算 {pair.id}", problem, remedy)
    for path, name in used:
        if name not in names and name not in reader.broken and reader.forms_are_sound():
            remedy = did_you_mean(name, names, "写字典里的英文列名")
            reader.fault(document, path, "自动换算", f"没有一张表单有字段 {name}", remedy)


def _rewrite(entry: RewriteIn) -> Rewrite:
    return Rewrite(
        entry.id,
        entry.title,
        tuple(entry.kinds),
        entry.pattern,
        entry.becomes,
        dict(entry.replace),
        entry.serial,
        tuple(entry.agree),
        tuple(entry.units),
    )


def _unit(entry: UnitIn) -> Unit:
    others = tuple(OtherUnit(tuple(one.written), one.factor, one.inferred, tuple(one.fields)) for one in entry.others)
    return Unit(tuple(entry.units), tuple(entry.written), others)


def _pair(entry: PairIn) -> Pair:
    headers = {name: tuple(words) for name, words in entry.headers.items()}
    return Pair(entry.id, entry.title, entry.pattern, tuple((two[0], two[1]) for two in entry.fields), headers)


# --- source maps ------------------------------------------------------------------------------------------------


def read_sources(reader: Reader, forms: Mapping[str, Form], codes: Mapping[str, CodeList]) -> dict[str, SourceMap]:
    """Every map of ``sources/*.yaml`` by its id; there need not be any."""
    found: dict[str, SourceMap] = {}
    owners: dict[str, str] = {}
    for document in reader.folder(SOURCES_FOLDER):
        stem = document.file.rsplit("/", 1)[-1].removesuffix(".yaml")
        where = f"来源 {label(document.data, ['source_id']) or stem}"
        source = reader.check(SourceIn, document.data, document, (), where)
        if source is None:
            continue
        if source.source_id != stem:
            problem = f"source_id 是 {source.source_id}，文件名却是 {stem}.yaml"
            remedy = f"把文件改名为 {source.source_id}.yaml，或改 source_id"
            reader.fault(document, ("source_id",), where, problem, remedy)
        for pattern in source.institutions:
            if owners.setdefault(pattern, source.source_id) != source.source_id:
                problem = f"机构 {pattern} 也写在来源 {owners[pattern]} 里"
                reader.fault(document, ("institutions",), where, problem, "一家机构只属于一个来源，删去其一")
            if "*" in pattern[:-1] or pattern == "*":
                problem, remedy = f"机构“{pattern}”写法不对", "写机构编码，或编码的前几位加一个 *"
                reader.fault(document, ("institutions",), where, problem, remedy)
        _check_headers(reader, document, source, where, forms)
        _check_codes(reader, document, source, where, forms, codes)
        _check_dates(reader, document, source, where)
        found[source.source_id] = SourceMap(
            source.source_id,
            source.title,
            tuple(source.institutions),
            source.headers,
            source.codes,
            tuple(source.dates),
        )
    return found


def _check_headers(reader: Reader, document: Document, source: SourceIn, where: str, forms: Mapping[str, Form]) -> None:
    anywhere = {name for form in forms.values() for name in form.by_name}
    for form_id, headers in source.headers.items():
        path: Path_ = ("headers", form_id)
        if form_id != EVERY_FORM and form_id not in forms:
            if form_id not in reader.broken:
                remedy = did_you_mean(form_id, forms, "写表单编号，或 * 表示每张表")
                reader.fault(document, path, where, f"没有表单 {form_id}", remedy)
            continue
        known = anywhere if form_id == EVERY_FORM else set(forms[form_id].by_name)
        keys: dict[str, str] = {}
        for header, name in headers.items():
            if name not in known and name not in reader.broken:
                remedy = did_you_mean(name, known, "写英文列名")
                reader.fault(document, (*path, header), where, f"表单 {form_id} 没有字段 {name}", remedy)
            if keys.setdefault(header_key(header), name) != name:
                problem = f"表头“{header}”同时指 {keys[header_key(header)]} 和 {name}"
                reader.fault(document, (*path, header), where, problem, "一个表头只对应一个字段（不分大小写、全半角）")


def _check_codes(
    reader: Reader,
    document: Document,
    source: SourceIn,
    where: str,
    forms: Mapping[str, Form],
    codes: Mapping[str, CodeList],
) -> None:
    anywhere = {name: column for form in forms.values() for name, column in form.by_name.items()}
    for key, mapped in source.codes.items():
        path: Path_ = ("codes", key)
        list_id: str | None = key
        if "." in key:
            form_id, _, name = key.partition(".")
            columns = anywhere if form_id == EVERY_FORM else forms[form_id].by_name if form_id in forms else {}
            if form_id != EVERY_FORM and form_id not in forms:
                if form_id not in reader.broken:
                    remedy = did_you_mean(form_id, forms, "写表单编号")
                    reader.fault(document, path, where, f"没有表单 {form_id}", remedy)
                continue
            if name not in columns:
                if name not in reader.broken:
                    remedy = did_you_mean(name, columns, "写英文列名")
                    reader.fault(document, path, where, f"表单 {form_id} 没有字段 {name}", remedy)
                continue
            list_id = columns[name].codes
        elif key not in codes:
            if key not in reader.broken:
                remedy = did_you_mean(key, codes, "写代码表编号，或 表单.字段")
                reader.fault(document, path, where, f"没有代码表 {key}", remedy)
            continue
        known = codes[list_id].by_code if list_id and list_id in codes else None
        for raw, code in mapped.items():
            if code is not None and known is not None and code not in known:
                remedy = did_you_mean(code, known, "右边写代码表里的代码；表示没有填的写 null")
                reader.fault(document, (*path, raw), where, f"代码 {code} 不在代码表 {list_id} 里", remedy)


def _check_dates(reader: Reader, document: Document, source: SourceIn, where: str) -> None:
    """A spelling must give back the day it is tried on."""
    for index, spelling in enumerate(source.dates):
        try:
            read = datetime.strptime(_SAMPLE_TIME.strftime(spelling), spelling)  # noqa: DTZ007
            (told,) = pl.Series([_SAMPLE_TIME.strftime(spelling)]).str.to_datetime(spelling, strict=False)
            fits = read.date() == _SAMPLE_TIME.date() and told is not None and told.date() == read.date()
        except (ValueError, pl.exceptions.PolarsError):
            fits = False
        if not fits:
            problem, remedy = f"日期写法“{spelling}”读不出年月日", "用 %Y %m %d（可加 %H %M %S）写出，如 %d/%m/%Y"
            reader.fault(document, ("dates", index), where, problem, remedy)
