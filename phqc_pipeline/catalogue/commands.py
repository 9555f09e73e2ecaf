"""What ``phqc rules`` answers: check, test, list, show, as plain functions that return text or rows.

Belongs here: the catalogue told to people, in Chinese. Does not belong here: the command line (``cli``), loading.
"""

from __future__ import annotations

import textwrap
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from phqc_pipeline.catalogue.examples import run_examples
from phqc_pipeline.catalogue.expressions import to_chinese, to_duckdb
from phqc_pipeline.catalogue.faults import CatalogueError, closest, describe
from phqc_pipeline.catalogue.fingerprint import derived_in
from phqc_pipeline.catalogue.layout import WIDTH, fact, table
from phqc_pipeline.catalogue.loader import load_catalogue
from phqc_pipeline.catalogue.model import (
    DIMENSIONS,
    EVERY_FORM,
    EVERY_PERSON_FORM,
    SEVERITIES,
    Catalogue,
    Example,
    Rule,
    RuleCheck,
)

GRAIN_TITLES: Mapping[str, str] = {
    "row": "一条记录",
    "person": "一个人",
    "doc": "一名医生",
    "inst": "一个机构",
    "household": "一户家庭",
}
CARRIER_TITLES: Mapping[str, str] = {
    "pandera": "Pandera（一条记录自己就能判断）",
    "dbt": "dbt（要看多条记录、别的表单或登记资料）",
}
LIST_HEADER = ("编号", "级别", "维度", "表单", "核", "名称")


@dataclass(frozen=True)
class Answer:
    """What a command says, and whether all is well (the caller turns that into an exit status)."""

    passed: bool
    text: str


def check(directory: Path) -> Answer:
    """Load the catalogue in ``directory`` and say what is wrong with it, or what it holds."""
    try:
        catalogue = load_catalogue(directory)
    except CatalogueError as error:
        return Answer(False, describe(error.faults))
    return Answer(True, summary(catalogue))


def summary(catalogue: Catalogue) -> str:
    """One line on what a sound catalogue holds."""
    carriers = [rule.carrier for rule in catalogue.rules]
    checks = sum(len(catalogue.checks(form_id)) for form_id in catalogue.forms)
    return (
        f"规则目录 {catalogue.directory} 无误：表单 {len(catalogue.forms)} 张，代码表 {len(catalogue.codes)} 张，"
        f"规则 {len(carriers)} 条（单条记录 {carriers.count('pandera')}，跨记录 {carriers.count('dbt')}），"
        f"展开为检查 {checks} 项，报表 {len(catalogue.reports)} 张，"
        f"方案 {len(catalogue.schemes)} 个，计划 {len(catalogue.plans)} 个"
    )


def test(catalogue: Catalogue) -> Answer:
    """Run every rule's examples in both engines and report the examples that came out otherwise than written."""
    judged = [rule for rule in catalogue.rules if rule.carrier == "pandera"]
    examples = sum(len(rule.pass_examples) + len(rule.fail_examples) for rule in judged)
    failures = run_examples(catalogue)
    head = f"规则 {len(judged)} 条，样例 {examples} 个，Polars 与 DuckDB 各算一遍"
    if not failures:
        return Answer(True, f"{head}：全部与写明的结果一致")
    listed = "\n".join(f"  {failure}" for failure in failures)
    return Answer(False, f"{head}：{len(failures)} 个不一致\n{listed}")


def rule_rows(
    catalogue: Catalogue, form: str | None = None, dimension: str | None = None, severity: str | None = None
) -> list[Rule]:
    """The rules of one form, dimension or severity (all three narrow; None is any), in the catalogue's order."""
    return [
        rule
        for rule in catalogue.rules
        if (form is None or form in rule.form_ids)
        and (dimension is None or rule.dimension == dimension)
        and (severity is None or rule.severity == severity)
    ]


def list_rules(
    catalogue: Catalogue, form: str | None = None, dimension: str | None = None, severity: str | None = None
) -> str:
    """The same as a table; a filter nothing can match is answered with what may be asked for."""
    by_title = {name: form_id for form_id, entry in catalogue.forms.items() for name in entry.names}
    asked = (
        (form, [*catalogue.forms, *by_title], "表单"),
        (dimension, DIMENSIONS, "维度"),
        (severity, SEVERITIES, "级别"),
    )
    for given, known, what in asked:
        if given is not None and given not in known:
            near = closest(given, known)
            hint = f"是否应为“{near}”？" if near else f"可写：{'、'.join(list(dict.fromkeys(known))[:40])}"
            return f"没有{what}“{given}”。{hint}"
    rows = rule_rows(catalogue, by_title.get(form, form) if form else None, dimension, severity)
    cells = [
        (
            rule.rule_id + (f" v{rule.version}" if rule.version > 1 else ""),
            rule.severity,
            rule.dimension,
            _scope_title(catalogue, rule),
            "" if rule.verified else "待核",
            rule.title,
        )
        for rule in rows
    ]
    return "\n".join([*table([LIST_HEADER, *cells]), f"共 {len(rows)} 条"])


def show(catalogue: Catalogue, rule_id: str) -> str:
    """All versions of one rule explained; LookupError, with the nearest number, when there is none."""
    versions = catalogue.versions(rule_id) or catalogue.versions(rule_id.upper())
    if not versions:
        near = closest(rule_id.upper(), {rule.rule_id for rule in catalogue.rules})
        hint = f"是否应为 {near}？" if near else ""
        raise LookupError(f"没有规则 {rule_id}。{hint}用 phqc rules list 查看全部编号")
    return "\n\n".join(_explain(catalogue, rule, len(versions)) for rule in versions)


def _explain(catalogue: Catalogue, rule: Rule, versions: int) -> str:
    checks = [check for form_id in rule.form_ids for check in catalogue.checks(form_id) if check.rule is rule]
    version = f"（第 {rule.version} 版，共 {versions} 版）" if versions > 1 or rule.version > 1 else ""
    blocks = [
        [f"{rule.rule_id}  {rule.title}{version}"],
        _facts(catalogue, rule),
        _judgement(catalogue, rule, checks),
        _per_field(catalogue, checks) if rule.per_field else [],
        _sql(rule, checks),
        _examples(rule),
    ]
    return "\n\n".join("\n".join(block) for block in blocks if block)


def _facts(catalogue: Catalogue, rule: Rule) -> list[str]:
    until = f"至 {rule.valid_to.isoformat()}" if rule.valid_to else ""
    since = f"{rule.valid_from.isoformat()} 起" if rule.valid_from else ""
    verified = "已与原件核对" if rule.verified else "待核：数值或口径尚未与原件核对"
    facts = [
        ("级别", f"{rule.severity}　维度：{rule.dimension}"),
        ("管谁", f"{_scope_title(catalogue, rule)}，对象是{GRAIN_TITLES[rule.grain]}"),
        ("承担", CARRIER_TITLES[rule.carrier]),
        ("依据", f"{rule.basis}（{verified}）"),
        ("适用期", f"{since}{until}" or "不限"),
        ("提示", rule.message),
    ]
    if rule.expected:
        facts.append(("应为", rule.expected))
    if rule.suggestion:
        computed = f"按 {_one_line(rule.suggestion.expr)} 计算" if rule.suggestion.expr else ""
        facts.append(("建议", rule.suggestion.text or computed))
    if rule.suppressed_by:
        facts.append(("不重复报", f"同一记录已命中 {'、'.join(rule.suppressed_by)} 时不报"))
    if rule.period_scoped:
        facts.append(("统计期", "按统计期计数，换期另立问题"))
    if rule.note:
        facts.append(("说明", rule.note))
    facts.append(("出处", f"{rule.place.file} 第 {rule.place.line} 行，指纹 {rule.fingerprint[:12]}"))
    return [line for name, text in facts for line in fact(name, text)]


def _judgement(catalogue: Catalogue, rule: Rule, checks: Sequence[RuleCheck]) -> list[str]:
    lines = ["判定"]
    if rule.carrier == "dbt":
        lines += fact("命中条件", rule.expression)
        lines += fact("dbt 模型", rule.model or "")
        for form_id, columns in rule.reads.items():
            lines += fact("读取", f"{_form_title(catalogue, form_id)}：{_columns(catalogue, form_id, columns)}")
    else:
        sample = _sample(rule, checks)
        lines = [f"判定，以 {sample.form_id}.{sample.field} 为例"] if rule.per_field else lines
        lines += fact("适用对象", to_chinese(sample.when, catalogue) if sample.when else "全部参加质控的记录")
        lines += fact("命中条件", to_chinese(sample.violated, catalogue))
        for key, text in (("when", rule.when), ("assert", rule.assertion), ("violated", rule.violated)):
            if text:
                lines += fact(key, _one_line(text))
        lines += fact("读取", _read_columns(catalogue, rule, checks))
    if rule.params:
        lines += fact("参数", "，".join(f"{name} = {_plain(value)}" for name, value in rule.params.items()))
    for name in _derived_named(catalogue, rule):
        derived = catalogue.derived[name]
        lines += fact("派生名", f"{name}（{derived.title}）= {_one_line(derived.expr)}")
    return lines


def _per_field(catalogue: Catalogue, checks: Sequence[RuleCheck]) -> list[str]:
    fields: dict[str, list[str]] = defaultdict(list)
    for one in checks:
        fields[one.form_id].append(one.field)
    lines = [f"按字段展开（{len(checks)} 项检查）"]
    for form_id, names in fields.items():
        lines.append(f"  {_form_title(catalogue, form_id)} {form_id}：{len(names)} 项")
        lines += fact("", _columns(catalogue, form_id, names))
    return lines


def _sample(rule: Rule, checks: Sequence[RuleCheck]) -> RuleCheck:
    """The check that shows a rule best: the form where it reads most; of a per-field rule a field with a condition."""
    if not rule.per_field:
        return max(checks, key=lambda one: len(one.reads))
    return next((one for one in checks if one.when is not None and one.when.reads), checks[0])


def _sql(rule: Rule, checks: Sequence[RuleCheck]) -> list[str]:
    """The DuckDB SQL of the judgement, once for all forms that share it; of a per-field rule that of the sample."""
    if not checks:
        return []
    forms: dict[tuple[str, str], list[str]] = defaultdict(list)
    for one in [_sample(rule, checks)] if rule.per_field else checks:
        applies = to_duckdb(one.when, None, plain=True) if one.when else "TRUE"
        forms[applies, to_duckdb(one.violated, None, plain=True)].append(one.form_id)
    lines = ["DuckDB SQL（格子不可用时读作 NULL；结果为 TRUE 才命中）"]
    for (applies, violated), names in forms.items():
        if len(forms) > 1:
            lines.append(f"  -- {'、'.join(names)}")
        lines += [*_sql_lines("适用", applies), *_sql_lines("命中", violated)]
    return lines


def _sql_lines(title: str, sql: str) -> list[str]:
    head, below = f"  {title}  ", " " * 8
    return textwrap.wrap(
        sql, WIDTH, initial_indent=head, subsequent_indent=below, break_long_words=False, break_on_hyphens=False
    )


def _examples(rule: Rule) -> list[str]:
    lines = ["样例"] if rule.pass_examples or rule.fail_examples else []
    for title, examples in (("通过", rule.pass_examples), ("不通过", rule.fail_examples)):
        for example in examples:
            lines += fact(title, _example(example))
    return lines


def _example(example: Example) -> str:
    values = "，".join(f"{name} = {_plain(value)}" for name, value in example.values.items())
    return f"{values or '全部为空'}{f'　（{example.note}）' if example.note else ''}"


def _scope_title(catalogue: Catalogue, rule: Rule) -> str:
    """Which forms a rule is on: named when few, ``全部表单`` or ``n 张表单`` when it is generic."""
    count = len(rule.form_ids)
    if rule.forms in ((EVERY_FORM,), (EVERY_PERSON_FORM,)):
        return "全部表单" if count == len(catalogue.forms) else f"{count} 张表单（有其所读字段的）"
    if count > 3:
        return f"{count} 张表单"
    return "、".join(_form_title(catalogue, form_id) for form_id in rule.form_ids)


def _form_title(catalogue: Catalogue, form_id: str) -> str:
    known = catalogue.forms.get(form_id) or catalogue.reports.get(form_id)
    return known.title if known else form_id


def _columns(catalogue: Catalogue, form_id: str, names: Iterable[str]) -> str:
    form, report = catalogue.forms.get(form_id), catalogue.reports.get(form_id)
    known: Mapping[str, Any] = form.by_name if form else report.by_item if report else {}
    return "、".join(f"{name} {known[name].title}" if name in known else name for name in names)


def _read_columns(catalogue: Catalogue, rule: Rule, checks: Sequence[RuleCheck]) -> str:
    """Columns with their titles; for a per-field rule those it reads beside the field itself."""
    found: dict[str, str] = {}
    for one in checks:
        for name in sorted(one.reads - ({one.field} if rule.per_field else set())):
            found.setdefault(name, catalogue.forms[one.form_id].field(name).title)
    named = "、".join(f"{name} {title}" for name, title in sorted(found.items()))
    if rule.per_field:
        return (
            f"该字段本身，及各字段自己的条件所读的 {len(found)} 个字段"
            if len(found) > 9
            else f"该字段本身{named and '、' + named}"
        )
    return named or "（无）"


def _derived_named(catalogue: Catalogue, rule: Rule) -> list[str]:
    computed = rule.suggestion.expr if rule.suggestion else None
    return derived_in((rule.when, rule.assertion, rule.violated, computed), catalogue.derived)


def _plain(value: Any) -> str:
    if value is None:
        return "空"
    if isinstance(value, list):
        return "[" + ", ".join(_plain(item) for item in value) + "]"
    if isinstance(value, date):
        return value.isoformat()
    return str(value)


def _one_line(text: str | None) -> str:
    return " ".join((text or "").split())
