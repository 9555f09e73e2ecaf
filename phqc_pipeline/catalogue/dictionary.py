"""The form dictionary: envelope, forms and their fields, code lists, derived names.

Belongs here: ``rules/forms``, ``rules/codes`` and ``rules/derived.yaml`` as objects, and everything about them that can
be judged without an expression. Does not belong here: rules; the conditions of ``required`` (``conditions``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import date
from typing import Any

from phqc_pipeline.catalogue.deliveries import header_key, read_repeats
from phqc_pipeline.catalogue.expressions.nodes import CONTEXT_NAMES
from phqc_pipeline.catalogue.faults import did_you_mean
from phqc_pipeline.catalogue.fingerprint import form_fingerprint
from phqc_pipeline.catalogue.model import (
    DATE_KINDS,
    NUMERIC_KINDS,
    PER_FIELD_NAMES,
    Bounds,
    Code,
    CodeList,
    DatedCodes,
    Derived,
    EquivalentMutant,
    Field,
    Form,
    Kind,
    OtherOf,
    Place,
)
from phqc_pipeline.catalogue.reading import DERIVED_FILE, ENVELOPE_FILE, Reader, label, place_of
from phqc_pipeline.catalogue.schema import (
    ALWAYS,
    NEVER,
    CodeIn,
    CodeListIn,
    DerivedIn,
    EnvelopeIn,
    EquivalentMutantIn,
    FieldIn,
    FormIn,
)
from phqc_pipeline.catalogue.yaml_lines import Document, Path_

_PLAIN_TYPES: dict[str, Kind] = {
    "int": "int",
    "date": "date",
    "ym": "ym",
    "dt": "dt",
    "code": "code",
    "multi": "multi",
}
_TYPE_REMEDY = "写 s(长度)、int、dec(总位数,小数位)、date、ym、dt、code 或 multi"
# Names that expressions, the lake or the warehouse use beside the form's own columns.
_RESERVED = frozenset({*PER_FIELD_NAMES, *CONTEXT_NAMES, "station_code", "form", "field", "note"})


def read_codes(reader: Reader) -> dict[str, CodeList]:
    """Every code list of ``codes/*.yaml`` by its id."""
    found: dict[str, CodeList] = {}
    places: dict[str, Place] = {}
    for document in reader.folder("codes"):
        for path, entry in reader.entries(document, "lists"):
            list_id = label(entry, ["id"])
            where = f"代码表 {list_id}"
            source = reader.check(CodeListIn, entry, document, path, where)
            if source is None:
                reader.broken.add(list_id)
                continue
            place = place_of(document, path)
            if not reader.unique(places, source.id, place, where, "改用另一个编号，或合并成一张表"):
                continue
            codes = _codes(reader, source, document, (*path, "codes"), where)
            found[source.id] = CodeList(source.id, source.title, codes, source.source, source.verified, place)
    return found


def read_derived(reader: Reader) -> dict[str, Derived]:
    """The derived names, in the order of the file."""
    document = reader.document(DERIVED_FILE)
    if document is None:
        return {}
    found: dict[str, Derived] = {}
    places: dict[str, Place] = {}
    for path, entry in reader.entries(document, "derived"):
        where = f"派生名 {label(entry, ['name'])}"
        source = reader.check(DerivedIn, entry, document, path, where)
        if source is None:
            reader.broken.add(label(entry, ["name"]))
            continue
        place = Place(document.file, document.line((*path, "expr")))
        if reader.unique(places, source.name, place, where, "每个派生名只定义一次，删去其一"):
            optional = frozenset(source.optional_columns)
            known = equivalents(source.equivalent_mutants)
            found[source.name] = Derived(source.name, source.title, source.expr, optional, known, place)
    return found


def read_forms(reader: Reader, codes: Mapping[str, CodeList], derived: Mapping[str, Derived]) -> dict[str, Form]:
    """Every form of ``forms/*.yaml`` by its id, each with the envelope's columns before its own."""
    envelope = _read_envelope(reader, codes, derived)
    found: dict[str, Form] = {}
    for document in reader.folder("forms"):
        form = _read_form(reader, document, envelope, codes, derived)
        if form is not None:
            found[form.form_id] = form
    check_spellings(reader, found.values(), codes)
    return found


def check_spellings(reader: Reader, forms: Iterable[Form], codes: Mapping[str, CodeList]) -> None:
    """In a list that some column uses, no spelling may stand for two codes (a cell could not be decided)."""
    used = {column.codes for form in forms for column in form.fields if column.codes}
    for list_id in sorted(used & codes.keys()):
        entries = codes[list_id].codes
        owner = {entry.code: entry.code for entry in entries}
        for entry in entries:
            for word in (entry.name, *entry.synonyms):
                other = owner.setdefault(word, entry.code)
                if other != entry.code:
                    problem = f"“{word}”同时指代码 {other} 和 {entry.code}"
                    remedy = "从其中一个代码的 name 或 synonyms 里去掉它"
                    reader.fault(entry.place, (), f"代码表 {list_id}", problem, remedy)


def parse_type(text: str) -> tuple[Kind, int | None, int | None, int | None] | None:
    """``dec(4,1)`` → ("dec", None, 4, 1); ``s(50)`` → ("text", 50, None, None); None if it is no type."""
    text = text.replace(" ", "")
    if text in _PLAIN_TYPES:
        return _PLAIN_TYPES[text], None, None, 0 if text == "int" else None
    if found := re.fullmatch(r"s\((\d+)\)", text):
        return ("text", int(found[1]), None, None) if int(found[1]) > 0 else None
    if found := re.fullmatch(r"dec\((\d+),(\d+)\)", text):
        precision, scale = int(found[1]), int(found[2])
        return ("dec", None, precision, scale) if precision >= scale and precision > 0 else None
    return None


def _codes(reader: Reader, source: CodeListIn, document: Document, path: Path_, where: str) -> tuple[Code, ...]:
    found: list[Code] = []
    seen: dict[str, list[Code]] = {}
    if not source.codes:
        reader.fault(document, path, where, "没有代码", "在 codes: 下列出代码，或删去这张表")
    for index, raw in enumerate(source.codes):
        entry = reader.check(CodeIn, raw, document, (*path, index), where)
        if entry is None:
            reader.broken.add(source.id)
            continue
        place = place_of(document, (*path, index))
        attrs = dict(entry.attrs)
        code = Code(entry.code, entry.name, tuple(entry.synonyms), entry.valid_from, entry.valid_to, attrs, place)
        if code.valid_from and code.valid_to and code.valid_from > code.valid_to:
            reader.fault(place, (), where, f"代码 {code.code} 的生效日期晚于失效日期", "改正 valid_from 或 valid_to")
        twin = next((other for other in seen.get(code.code, []) if overlap(code, other)), None)
        if twin is not None:
            problem = f"代码 {code.code} 与第 {twin.place.line} 行重复"
            reader.fault(place, (), where, problem, "删去其一；前后改过含义的，给两条写上不重叠的 valid_from、valid_to")
            continue
        seen.setdefault(code.code, []).append(code)
        found.append(code)
    return tuple(found)


def equivalents(entries: Iterable[EquivalentMutantIn]) -> tuple[EquivalentMutant, ...]:
    """Mutants listed as equivalent, of a rule or a derived name."""
    return tuple(EquivalentMutant(entry.mutant, entry.why) for entry in entries)


def overlap(one: Any, other: Any) -> bool:
    """Whether two things with ``valid_from`` and ``valid_to`` (None = open) are in force on one day together."""
    start = max(one.valid_from or date.min, other.valid_from or date.min)
    return start <= min(one.valid_to or date.max, other.valid_to or date.max)


def _read_envelope(reader: Reader, codes: Mapping[str, CodeList], derived: Mapping[str, Derived]) -> tuple[Field, ...]:
    document = reader.document(ENVELOPE_FILE)
    source = document and reader.check(EnvelopeIn, document.data, document, (), "公共信封列")
    if not document or not source:
        return ()
    fields = _fields(reader, source.fields, document, "公共信封列", codes, derived)
    return tuple(replace(column, envelope=True) for column in fields)


def _yielding(column: Field, own: Iterable[Field]) -> Field:
    """An envelope column without the synonyms that the form's own fields claim (责任医生 of a form that has one)."""
    claimed = {header_key(header) for other in own for header in other.headers}
    return replace(column, synonyms=tuple(word for word in column.synonyms if header_key(word) not in claimed))


def _for_institutions(column: Field) -> Field:
    """An envelope column on a form about an institution: what is about a person need not be filled."""
    if not column.person_only:
        return column
    return replace(column, required="never", required_when=None, required_note="")


def _with_dated_codes(column: Field, day: Field, codes: Mapping[str, CodeList]) -> Field:
    """The column with the codes of its list that are not in force on every day; ``day`` is the service date."""
    code_list = codes.get(column.codes or "")
    if code_list is None or column.kind not in ("code", "multi") or not code_list.has_dates:
        return column
    spans: dict[str, list[tuple[date | None, date | None]]] = {}
    for entry in code_list.codes:
        spans.setdefault(entry.code, []).append((entry.valid_from, entry.valid_to))
    alike: dict[tuple[tuple[date | None, date | None], ...], list[str]] = {}
    for code, found in spans.items():
        if (None, None) not in found:
            alike.setdefault(tuple(found), []).append(code)
    grouped = tuple((tuple(listed), found) for found, listed in alike.items())
    return replace(column, dated_codes=DatedCodes(day.name, day.kind, grouped)) if grouped else column


def _read_form(
    reader: Reader,
    document: Document,
    envelope: tuple[Field, ...],
    codes: Mapping[str, CodeList],
    derived: Mapping[str, Derived],
) -> Form | None:
    stem = document.file.rsplit("/", 1)[-1].removesuffix(".yaml")
    where = f"表单 {stem}"
    source = reader.check(FormIn, document.data, document, (), where)
    if source is None:
        reader.broken.add(stem)
        return None
    if source.form_id != stem:
        problem = f"form_id 是 {source.form_id}，文件名却是 {stem}.yaml"
        reader.fault(document, ("form_id",), where, problem, f"把文件改名为 {source.form_id}.yaml，或改 form_id")
    own = _fields(reader, source.fields, document, where, codes, derived)
    own_names = frozenset(column.name for column in own)
    about_institution = source.subject == "institution"
    inherited = (_for_institutions(column) if about_institution else column for column in envelope)
    inherited = (column for column in inherited if column.name not in own_names)
    fields = (*(_yielding(column, own) for column in inherited), *own)
    day = next((column for column in fields if column.name == source.service_date), None)
    if day is not None and day.kind in DATE_KINDS:
        fields = tuple(_with_dated_codes(column, day, codes) for column in fields)
    form = Form(
        form_id=source.form_id,
        title=source.title,
        fields=fields,
        service_date=source.service_date,
        subject=source.subject,
        aliases=tuple(source.aliases),
        stage=tuple(source.stage),
        source=source.source,
        frequency=source.frequency,
        key=source.key,
        own_names=own_names,
        place=place_of(document, ()),
    )
    if source.repeats is not None:
        form = replace(form, repeats=read_repeats(reader, source.repeats, form, document, where, codes))
    _check_form(reader, form, document, where, codes)
    return replace(form, extract_fingerprint=form_fingerprint(form, codes))


def _check_form(reader: Reader, form: Form, document: Document, where: str, codes: Mapping[str, CodeList]) -> None:
    for key, names in (("service_date", (form.service_date,)), ("stage", form.stage)):
        for name in names:
            if not form.has(name):
                _unknown_field(reader, form, document, (key,), where, f"{key} 指的字段 {name}", name)
    if form.has(form.service_date) and form.field(form.service_date).kind not in DATE_KINDS:
        problem = f"服务日期列 {form.service_date} 的类型是 {form.field(form.service_date).type}，不是日期"
        reader.fault(document, ("service_date",), where, problem, "service_date 写一个 date 或 dt 类型的字段")
    owners: dict[str, Field] = {}
    for column in form.fields:
        for header in column.headers:
            owner = owners.setdefault(header_key(header), column)
            if owner is not column:
                problem = f"表头“{header}”与字段 {owner.name} 的表头或同义词相同"
                remedy = "一个表头只能认作一个字段：改标题，或从其中一个的 synonyms 里去掉它"
                reader.fault(column.place, (), f"{where} 字段 {column.name}", problem, remedy)
    for column in form.own_fields:
        _check_other_of(reader, form, column, where, codes)
        if column.person_only:
            said = f"{where} 字段 {column.name}"
            reader.fault(column.place, (), said, "person_only 只用于公共信封列", "去掉 person_only，写 required: N")
    if not form.own_fields:
        for column in form.fields:
            _check_other_of(reader, form, column, where, codes)


def _check_other_of(reader: Reader, form: Form, column: Field, where: str, codes: Mapping[str, CodeList]) -> None:
    if column.other_of is None:
        return
    place, where = column.place, f"{where} 字段 {column.name}"
    name, code = column.other_of.field, column.other_of.code
    if not form.has(name):
        if name not in reader.broken:
            remedy = did_you_mean(name, form.by_name, "other_of.field 写同一张表上的单选或多选字段")
            reader.fault(place, (), where, f"other_of 指的字段 {name} 不存在", remedy)
        return
    choice = form.field(name)
    if choice.kind not in ("code", "multi"):
        reader.fault(place, (), where, f"other_of 指的 {name} 不是单选或多选字段", "改成 code 或 multi 类型的字段")
    elif choice.codes and choice.codes in codes and code not in codes[choice.codes].by_code:
        remedy = f"写 {choice.codes} 里表示“其他”的那个代码"
        reader.fault(place, (), where, f"other_of 的代码 {code} 不在 {name} 的代码表 {choice.codes} 里", remedy)


def _unknown_field(
    reader: Reader, form: Form, document: Document, path: Path_, where: str, problem: str, name: str
) -> None:
    if name not in reader.broken:
        remedy = did_you_mean(name, form.by_name, "写该表单已有的字段名")
        reader.fault(document, path, where, f"{problem} 不存在", remedy)


def _fields(
    reader: Reader,
    entries: list[Any],
    document: Document,
    where: str,
    codes: Mapping[str, CodeList],
    derived: Mapping[str, Derived],
) -> list[Field]:
    found: list[Field] = []
    places: dict[str, Place] = {}
    for index, entry in enumerate(entries):
        path: Path_ = ("fields", index)
        name = label(entry, ["name"])
        said = f"{where} 字段 {name or f'第 {index + 1} 个'}"
        source = reader.check(FieldIn, entry, document, path, said)
        column = _field(reader, source, document, path, said, codes) if source else None
        if column is None:
            reader.broken.add(name)
            continue
        if column.name in _RESERVED or column.name in derived:
            problem = f"字段名 {column.name} 与表达式里的名字相同（派生名、上下文或保留名）"
            reader.fault(document, (*path, "name"), said, problem, "改用另一个字段名")
        if reader.unique(places, column.name, column.place, said, "同一张表里字段名只用一次，删去或改名"):
            found.append(column)
    return found


def _field(
    reader: Reader, source: FieldIn, document: Document, path: Path_, where: str, codes: Mapping[str, CodeList]
) -> Field | None:
    parsed = parse_type(source.type)
    if parsed is None:
        reader.fault(document, (*path, "type"), where, f"不认识的类型“{source.type}”", _TYPE_REMEDY)
        return None
    kind, length, precision, scale = parsed
    required = source.required
    column = Field(
        name=source.name,
        title=source.title,
        type=source.type.replace(" ", ""),
        kind=kind,
        synonyms=tuple(source.synonyms),
        length=length,
        precision=precision,
        scale=scale,
        unit=source.unit,
        required="always" if required is ALWAYS else "never" if required is NEVER or not required.when else "when",
        required_when=None if required in (ALWAYS, NEVER) else required.when,
        required_note="" if required in (ALWAYS, NEVER) else required.note or "",
        hard=_bounds(source.hard),
        soft=_bounds(source.soft),
        codes=source.codes,
        text_values=source.text_values,
        exclusive=tuple(source.exclusive),
        other_of=OtherOf(source.other_of.field, source.other_of.code) if source.other_of else None,
        personal=source.personal,
        role=source.role,
        business=source.business,
        extension=source.extension,
        absent_ok=source.absent_ok,
        person_only=source.person_only,
        note=source.note,
        place=place_of(document, path),
    )
    _check_field(reader, column, document, path, where, codes)
    return column


def _bounds(ends: list[float | None] | None) -> Bounds | None:
    return None if ends is None else (ends[0], ends[1])


def _check_field(
    reader: Reader, column: Field, document: Document, path: Path_, where: str, codes: Mapping[str, CodeList]
) -> None:
    def fault(key: str, problem: str, remedy: str) -> None:
        reader.fault(document, (*path, key), where, problem, remedy)

    kind = column.kind
    for key, bounds in (("hard", column.hard), ("soft", column.soft)):
        if bounds is not None and kind not in NUMERIC_KINDS:
            fault(key, f"{column.type} 类型的字段不能写 {key} 范围", "只有 int 和 dec 有范围；日期先后写成规则")
    if column.hard and column.soft and _outside(column.soft, column.hard):
        fault("soft", f"软范围 {_span(column.soft)} 伸出硬范围 {_span(column.hard)} 之外", "软范围应在硬范围之内")
    if kind in ("code", "multi") and not column.codes:
        fault("type", f"{kind} 类型的字段没有写 codes", "补上 codes: 代码表编号")
    if column.codes and kind not in ("code", "multi", "text", "int"):
        fault("codes", f"{column.type} 类型的字段不能有代码表", "去掉 codes，或把类型改为 code、multi、s(n) 或 int")
    if column.codes and column.codes not in codes and column.codes not in reader.broken:
        fault("codes", f"没有代码表 {column.codes}", did_you_mean(column.codes, codes, "在 codes/ 里补上这张代码表"))
    if column.text_values and kind not in NUMERIC_KINDS and kind not in DATE_KINDS:
        fault("text_values", "text_values 只用于数值或日期列", "去掉 text_values；代码列的别名写在代码表的 synonyms 里")
    if column.exclusive and kind != "multi":
        fault("exclusive", "exclusive 只用于 multi 字段", "去掉 exclusive")
    known = codes[column.codes].by_code if column.codes and column.codes in codes else {}
    if kind == "int" and not all(code.isdigit() for code in known):
        fault("codes", f"整数字段的代码表 {column.codes} 里有不是整数的代码", "换一张代码都是整数的表，或改类型为 code")
    for code in column.exclusive:
        if known and code not in known and column.codes not in reader.broken:
            fault("exclusive", f"exclusive 的代码 {code} 不在代码表 {column.codes} 里", "改成表里有的代码")
    if column.other_of and kind != "text":
        fault("other_of", "other_of 只用于文字字段", "去掉 other_of，或把类型改为 s(n)")
    if column.role == "phone" and kind != "text":
        fault("role", "role: phone 只用于文字字段", "把类型改为 s(n)，或去掉 role")


def _outside(inner: Bounds, outer: Bounds) -> bool:
    low, high = outer
    below = low is not None and inner[0] is not None and inner[0] < low
    above = high is not None and inner[1] is not None and inner[1] > high
    empty = (high is not None and inner[0] is not None and inner[0] > high) or (
        low is not None and inner[1] is not None and inner[1] < low
    )
    return below or above or empty


def _span(bounds: Bounds) -> str:
    low, high = ("" if end is None else f"{end:g}" for end in bounds)
    return f"[{low}..{high}]"
