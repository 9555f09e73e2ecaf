"""The rules as written: one ``Rule`` for each version in ``rules/checks``, checked for all that needs no expression.

Belongs here: scope, versions and their validity, parameters, examples, carriers, references to forms and other rules.
Does not belong here: parsing expressions and bringing rules to forms and fields (``instantiate``).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from phqc_pipeline.catalogue.dictionary import equivalents, overlap
from phqc_pipeline.catalogue.faults import did_you_mean
from phqc_pipeline.catalogue.model import (
    EVERY_FORM,
    EVERY_PERSON_FORM,
    ROOT_ITEMS,
    Example,
    Form,
    PerField,
    Report,
    Rule,
    Suggestion,
)
from phqc_pipeline.catalogue.reading import Reader, label, place_of
from phqc_pipeline.catalogue.schema import RuleIn
from phqc_pipeline.catalogue.yaml_lines import Document, Path_

_GENERIC_FILE = "common"
_CROSS_FILE = "cross"
_RULE_ID = re.compile(r"[A-Z]{2,4}-[A-Z]-\d{3}")
_PARAMETER = re.compile(r"[a-z][a-z0-9_]*")
_PANDERA_ONLY = ("when", "assert_", "violated", "per_field", "optional_columns", "suppressed_by")
_SERVICE_DATE = "service_date"  # in reads of every person form: the form's own column
_DBT_ONLY = ("model", "reads", "checks_empty", "period_scoped", "needs", "statistical")


@dataclass(frozen=True, eq=False)
class Written:
    """A rule as written, and where. Its ``form_ids`` are not final yet."""

    rule: Rule
    document: Document
    path: Path_

    @property
    def where(self) -> str:
        version = f" 第 {self.rule.version} 版" if self.rule.version > 1 else ""
        return f"规则 {self.rule.rule_id}{version}"


def read_rules(reader: Reader, forms: Mapping[str, Form], reports: Mapping[str, Report]) -> list[Written]:
    """Every rule version of ``checks/*.yaml``, in the order of files and entries; faulty entries are left out."""
    columns = {form_id: frozenset(form.by_name) for form_id, form in forms.items()}
    columns |= {report_id: frozenset(report.by_item) for report_id, report in reports.items()}
    found: list[Written] = []
    for document in reader.folder("checks"):
        stem = document.file.rsplit("/", 1)[-1].removesuffix(".yaml")
        named_otherwise = stem in (_GENERIC_FILE, _CROSS_FILE) or stem.startswith(f"{_CROSS_FILE}_")
        if not named_otherwise and stem not in forms and stem not in reader.broken:
            usual = "规则文件以表单编号命名；各表通用的写进 common.yaml，跨表的写进 cross.yaml 或 cross_….yaml"
            reader.fault(document, (), "", f"没有表单 {stem}", did_you_mean(stem, forms, usual))
        for path, entry in reader.entries(document, "rules"):
            rule_id = label(entry, ["id"])
            source = reader.check(RuleIn, entry, document, path, f"规则 {rule_id}")
            if source is None:
                reader.broken.add(rule_id)
                continue
            found.append(Written(_rule(reader, source, document, path, stem, forms, columns), document, path))
    _check_versions(reader, found)
    _check_suppression(reader, found)
    _check_doubts(reader, found)
    return found


def scope_of(rule: Rule, forms: Mapping[str, Form]) -> list[Form]:
    """The forms a rule's ``forms`` names, before asking which of them have the columns it reads."""
    if EVERY_FORM in rule.forms:
        chosen = list(forms.values())
    elif EVERY_PERSON_FORM in rule.forms:
        chosen = [form for form in forms.values() if form.subject == "person"]
    else:
        chosen = [forms[form_id] for form_id in rule.forms if form_id in forms]
    return [form for form in chosen if form.form_id not in rule.except_forms]


def is_generic(rule: Rule) -> bool:
    """Whether the rule goes wherever its columns are, rather than to forms it names."""
    return bool({EVERY_FORM, EVERY_PERSON_FORM} & set(rule.forms))


def _rule(
    reader: Reader,
    source: RuleIn,
    document: Document,
    path: Path_,
    stem: str,
    forms: Mapping[str, Form],
    columns: Mapping[str, frozenset[str]],
) -> Rule:
    """``columns``: what each form (its fields) and each report (its items) has, for rules that dbt carries."""
    where = f"规则 {source.id}"

    def fault(key: str, problem: str, remedy: str) -> None:
        reader.fault(document, (*path, key), where, problem, remedy)

    if not _RULE_ID.fullmatch(source.id):
        fault("id", f"编号“{source.id}”不合格式", "写成 前缀-维度-三位序号，例如 HTN-L-001")
    named = _scope(reader, source, stem, columns if source.carrier == "dbt" else forms, fault)
    if source.valid_from and source.valid_to and source.valid_from > source.valid_to:
        fault("valid_from", "生效日期晚于失效日期", "改正 valid_from 或 valid_to")
    _check_params(reader, source, fault)
    _check_carrier(source, fault)
    if source.carrier == "dbt" and "_envelope" not in reader.broken:
        _check_reads(reader, source, document, path, where, columns)
    suggestion = None
    if (said := source.suggestion) is not None:
        suggestion = Suggestion(said.text, said.expr, said.certain, tuple(said.doubted_by))
        if said.certain and not source.field and not source.per_field:
            fault("suggestion", "certain 的建议没有说改哪一格", "补上 field: 要改的字段，或去掉 certain")
    return Rule(
        rule_id=source.id,
        version=source.version,
        title=source.title,
        forms=named,
        form_ids=tuple(form_id for form_id in named if form_id in columns),
        carrier=source.carrier,
        dimension=source.dimension,
        severity=source.severity,
        grain=source.grain,
        message=source.message,
        params=dict(source.params),
        when=source.when,
        assertion=source.assert_,
        violated=source.violated,
        per_field=_per_field(source),
        field=source.field or "",
        suggestion=suggestion,
        expected=source.expected,
        basis=source.basis,
        verified=source.verified,
        valid_from=source.valid_from,
        valid_to=source.valid_to,
        suppressed_by=tuple(source.suppressed_by),
        optional_columns=frozenset(source.optional_columns),
        root=source.root or (source.field if source.field in ROOT_ITEMS else None),
        pass_examples=_examples(reader, source.examples.pass_, document, (*path, "examples", "pass"), where),
        fail_examples=_examples(reader, source.examples.fail, document, (*path, "examples", "fail"), where),
        equivalent_mutants=equivalents(source.equivalent_mutants),
        model=source.model,
        reads=_reads(source, forms),
        own_reads=tuple(source.reads.get(EVERY_FORM, ())),
        checks_empty=tuple(source.checks_empty),
        period_scoped=source.period_scoped,
        needs=source.needs or "",
        statistical=source.statistical,
        expression=source.expression or _expression(source),
        except_forms=tuple(source.except_forms),
        note=source.note,
        place=place_of(document, path),
    )


def _scope(reader: Reader, source: RuleIn, stem: str, known: Mapping[str, Any], fault: Any) -> tuple[str, ...]:
    """The scope as written, or the file's own; ``known`` are the forms (for a dbt rule also reports) there are."""
    if source.form_id and source.forms:
        fault("forms", "form_id 和 forms 只写一个", "一张表写 form_id，几张表或 * 写 forms")
    key = "form_id" if source.form_id else "forms"
    named = (source.form_id,) if source.form_id else tuple(source.forms or ())
    if not named:
        if stem == _CROSS_FILE:
            fault("form_id", "跨表规则没有写归属表", "补上 form_id: 归属表单（rules.md 0a.11）")
        named = (EVERY_FORM,) if stem == _GENERIC_FILE else (stem,) if stem != _CROSS_FILE else ()
    if len(named) > 1 and {EVERY_FORM, EVERY_PERSON_FORM} & set(named):
        fault(key, f"forms 里 {EVERY_FORM} 或 {EVERY_PERSON_FORM} 不与别的并列", "只写 * 或只列表单编号")
    for form_id in (*named, *source.except_forms):
        sound = form_id in (EVERY_FORM, EVERY_PERSON_FORM) or form_id in known or form_id in reader.broken
        if not sound and form_id != stem:
            near = did_you_mean(form_id, [*known, EVERY_PERSON_FORM], "改成 forms/ 里有的表单编号，或补上该表单")
            fault("except_forms" if form_id in source.except_forms else key, f"没有表单 {form_id}", near)
    return named


def _check_params(reader: Reader, source: RuleIn, fault: Any) -> None:
    for name, value in source.params.items():
        plain = value if isinstance(value, list) else [value]
        if not _PARAMETER.fullmatch(name):
            fault("params", f"参数名“{name}”不合格式", "只用小写字母、数字和下划线，以字母开头")
        if not plain or not all(isinstance(item, (str, int, float, date)) for item in plain):
            fault("params", f"参数 {name} 的值不能用", "写数、文字、日期或它们的列表")
            reader.broken.add(name)


def _check_carrier(source: RuleIn, fault: Any) -> None:
    if source.carrier == "dbt":
        for key in _PANDERA_ONLY:
            if getattr(source, key):
                name = key.rstrip("_")
                fault(name, f"跨记录规则（carrier: dbt）不写 {name}", "判断写在 dbt 模型里；可读的说法写 expression")
        if not source.model:
            fault("id", "缺少“model”", "补上 model: 承担它的 dbt 模型名")
        if not source.reads and source.form_id:
            fault("id", "缺少“reads”", "补上 reads: {表单: [读到的字段]}")
        if not source.expression:
            fault("id", "缺少“expression”", "补上 expression: 用中文或 SQL 写出命中条件，供人阅读")
        if source.suggestion and source.suggestion.expr:
            fault("suggestion", "跨记录规则的建议不能用 expr", "写成 {text: 固定文字}")
        return
    for key in _DBT_ONLY:
        if getattr(source, key):
            fault(key, f"记录规则不写 {key}", f"去掉 {key}；要看别的记录或别的表的规则写 carrier: dbt")
    if source.expression:
        fault("expression", "记录规则不写 expression", "判断写 when 和 assert（或 violated）")
    if source.grain != "row":
        fault("grain", f"粒度 {source.grain} 的规则一条记录判不了", "写 carrier: dbt，或改为 grain: row")
    if (source.assert_ is None) == (source.violated is None):
        fault("id", "assert 和 violated 应恰好写一个", "应成立的条件写 assert，命中即为问题的条件写 violated")
    for kind, examples in (("pass", source.examples.pass_), ("fail", source.examples.fail)):
        if not examples:
            said = "通过" if kind == "pass" else "不通过"
            remedy = f"在 examples.{kind} 下至少写一条{said}的样例记录"
            fault("examples", f"没有{said}的样例", remedy)
    if source.per_field and source.field:
        fault("field", "按字段展开的规则不写 field", "去掉 field，问题记在展开到的那个字段上")


def _reads(source: RuleIn, forms: Mapping[str, Form]) -> dict[str, tuple[str, ...]]:
    """What a rule of dbt's reads, form by form; ``person`` becomes every person form that has those columns. What it
    reads of the form it reports on, whichever that is (``*``), stands apart, as ``own_reads``."""
    together = (EVERY_FORM, EVERY_PERSON_FORM)
    found = {form_id: tuple(names) for form_id, names in source.reads.items() if form_id not in together}
    wanted = source.reads.get(EVERY_PERSON_FORM)
    for form in forms.values() if wanted else ():
        names = on_form(wanted or (), form)
        if (
            form.subject == "person"
            and form.form_id not in {*found, *source.except_forms}
            and all(map(form.has, names))
        ):
            found[form.form_id] = names
    return found


def on_form(names: Sequence[str], form: Form) -> tuple[str, ...]:
    """Columns named for many forms, on one: ``service_date`` is the form's own."""
    return tuple(form.service_date if name == _SERVICE_DATE else name for name in names)


def _check_reads(
    reader: Reader,
    source: RuleIn,
    document: Document,
    path: Path_,
    where: str,
    columns: Mapping[str, frozenset[str]],
) -> None:
    def known(key: Path_, form_id: str, name: str) -> None:
        if name not in columns[form_id] and name not in reader.broken:
            remedy = did_you_mean(name, columns[form_id], f"改成 {form_id} 已有的字段名")
            reader.fault(document, (*path, *key), where, f"{form_id} 没有字段 {name}", remedy)

    everywhere = frozenset({_SERVICE_DATE}.union(*columns.values()))
    for form_id, names in source.reads.items():
        if form_id in (EVERY_FORM, EVERY_PERSON_FORM):
            for index, name in enumerate(names):
                if name not in everywhere and name not in reader.broken:
                    remedy = did_you_mean(name, everywhere, "改成表单上有的字段名")
                    reader.fault(document, (*path, "reads", form_id, index), where, f"没有一张表有字段 {name}", remedy)
        elif form_id in columns:
            for index, name in enumerate(names):
                known(("reads", form_id, index), form_id, name)
        elif form_id not in reader.broken:
            remedy = did_you_mean(form_id, columns, "改成 forms/ 或 reports/ 里有的编号")
            reader.fault(document, (*path, "reads", form_id), where, f"没有表单 {form_id}", remedy)
    home = source.form_id
    if home and home in columns:
        for name in source.checks_empty:
            known(("checks_empty",), home, name)
        if source.field:
            known(("field",), home, source.field)


def _per_field(source: RuleIn) -> PerField | None:
    given = source.per_field
    if given is None:
        return None
    return PerField(tuple(given.types), given.has, given.role, tuple(given.exclude_roles), tuple(given.exclude_fields))


def _examples(
    reader: Reader, entries: Sequence[Any], document: Document, path: Path_, where: str
) -> tuple[Example, ...]:
    found: list[Example] = []
    for index, entry in enumerate(entries):
        here = (*path, index)
        if not isinstance(entry, dict) or not entry:
            reader.fault(document, here, where, "样例不是“字段: 值”的一组内容", "写成 {字段: 值, 字段: 值}")
            continue
        values = {name: value for name, value in entry.items() if name != "note"}
        found.append(Example(values, str(entry.get("note") or ""), place_of(document, here)))
    return tuple(found)


def _expression(source: RuleIn) -> str:
    """The judgement as one readable line: what ``qc.rule.expression`` shows."""
    judged = source.violated or (f"not ({source.assert_})" if source.assert_ else "")
    joined = f"({source.when}) and ({judged})" if source.when else judged
    return " ".join(joined.split())


def _check_versions(reader: Reader, written: Sequence[Written]) -> None:
    """One id, one version, once; versions of a rule must not be in force on the same day (0a.16)."""
    by_id: dict[str, list[Written]] = defaultdict(list)
    for one in written:
        for other in by_id[one.rule.rule_id]:
            first = f"{other.rule.place.file}:{other.rule.place.line}"
            if other.rule.version == one.rule.version:
                problem = f"规则编号与 {first} 重复"
                reader.fault(one.document, (*one.path, "id"), one.where, problem, "换一个编号；是新口径的写 version: 2")
            elif overlap(one.rule, other.rule):
                problem = f"与 {first} 的第 {other.rule.version} 版适用期重叠"
                remedy = "旧版写 valid_to，新版写 valid_from，首尾相接不重叠"
                reader.fault(one.document, (*one.path, "version"), one.where, problem, remedy)
        by_id[one.rule.rule_id].append(one)


def _check_doubts(reader: Reader, written: Sequence[Written]) -> None:
    known = {one.rule.rule_id for one in written}
    for one in written:
        for index, rule_id in enumerate(one.rule.suggestion.doubted_by if one.rule.suggestion else ()):
            if rule_id not in known and rule_id not in reader.broken:
                here = (*one.path, "suggestion", "doubted_by", index)
                remedy = did_you_mean(rule_id, known, "改成规则目录里有的编号")
                reader.fault(one.document, here, one.where, f"doubted_by 指的规则 {rule_id} 不存在", remedy)


def _check_suppression(reader: Reader, written: Sequence[Written]) -> None:
    known = {one.rule.rule_id: one.rule for one in written}
    for one in written:
        for index, rule_id in enumerate(one.rule.suppressed_by):
            here = (*one.path, "suppressed_by", index)
            if rule_id not in known:
                if rule_id not in reader.broken:
                    remedy = did_you_mean(rule_id, known, "改成规则目录里有的编号")
                    reader.fault(one.document, here, one.where, f"suppressed_by 指的规则 {rule_id} 不存在", remedy)
            elif known[rule_id].carrier != "pandera" or rule_id == one.rule.rule_id:
                remedy = "只能写另一条由单条记录判断的规则"
                reader.fault(one.document, here, one.where, f"不能被 {rule_id} 抑制", remedy)
