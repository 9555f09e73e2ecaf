"""What can be said of one rule, as plain data: one source for ``phqc rules show`` and the rule handbook.

Belongs here: facts, judgement, columns read and SQL of a rule, worded in Chinese. Does not belong here: how they are
laid out (``commands`` for a terminal, ``phqc_pipeline.handbook`` for pages).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from phqc_pipeline.catalogue.expressions import to_chinese, to_duckdb
from phqc_pipeline.catalogue.expressions.nodes import COUNTING_OPS, Call, walk
from phqc_pipeline.catalogue.fingerprint import derived_in
from phqc_pipeline.catalogue.model import EVERY_FORM, EVERY_PERSON_FORM, Catalogue, Example, Rule, RuleCheck

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
LEVEL_TITLES: Mapping[str, str] = {"province": "省级", "county": "县级", "institution": "机构"}
EVERY_RECORD = "全部参加质控的记录"


@dataclass(frozen=True)
class WrittenSql:
    """The judgement as DuckDB SQL and the forms that share it: whom it concerns, and what is a violation."""

    form_ids: tuple[str, ...]
    applies: str
    violated: str


def checks_of(catalogue: Catalogue, rule: Rule) -> list[RuleCheck]:
    """The checks that one version of a rule became, form by form; none for a rule that dbt carries."""
    return [check for form_id in rule.form_ids for check in catalogue.checks(form_id) if check.rule is rule]


def facts(catalogue: Catalogue, rule: Rule) -> list[tuple[str, str]]:
    """What kind of rule it is, whom it concerns, what it rests on and what the doctor reads, as (name, text)."""
    said = [
        ("级别", f"{rule.severity}　维度：{rule.dimension}"),
        ("管谁", f"{scope_title(catalogue, rule)}，对象是{GRAIN_TITLES[rule.grain]}"),
        ("承担", CARRIER_TITLES[rule.carrier]),
        ("依据", f"{rule.basis}（{checked_said(rule)}）"),
        ("适用期", validity_said(rule)),
        ("提示", rule.message),
    ]
    if rule.expected:
        said.append(("应为", rule.expected))
    if rule.suggestion:
        computed = f"按 {one_line(rule.suggestion.expr)} 计算" if rule.suggestion.expr else ""
        said.append(("建议", rule.suggestion.text or computed))
        if rule.suggestion.certain:
            unless = (
                f"；同一记录命中 {'、'.join(rule.suggestion.doubted_by)} 的除外" if rule.suggestion.doubted_by else ""
            )
            said.append(("更正", f"列入建议更正文件{unless}"))
    if rule.suppressed_by:
        said.append(("不重复报", f"同一记录已命中 {'、'.join(rule.suppressed_by)} 时不报"))
    if rule.period_scoped:
        said.append(("统计期", "按统计期计数，换期另立问题"))
    if rule.needs:
        said.append(("所需数据", f"{rule.needs}；没有时记 not_evaluable"))
    if rule.statistical:
        said.append(("统计检验", "结论是核查线索，有约定的误报率"))
    if rule.note:
        said.append(("说明", rule.note))
    said.append(("出处", f"{rule.place.file} 第 {rule.place.line} 行，指纹 {rule.fingerprint[:12]}"))
    return said


def judgement(catalogue: Catalogue, rule: Rule, checks: Sequence[RuleCheck]) -> list[tuple[str, str]]:
    """Whom it concerns and what is a violation, in Chinese and as written, with parameters and derived names."""
    said: list[tuple[str, str]] = []
    sample = sample_check(rule, checks)
    if sample is None:
        said += [("命中条件", rule.expression), ("dbt 模型", rule.model or "")]
        for form_id, columns in rule.reads.items():
            said.append(("读取", f"{form_title(catalogue, form_id)}：{columns_said(catalogue, form_id, columns)}"))
    else:
        said.append(("适用对象", to_chinese(sample.when, catalogue) if sample.when else EVERY_RECORD))
        said.append(("命中条件", to_chinese(sample.violated, catalogue)))
        said += [(key, one_line(text)) for key, text in as_written(rule) if text]
        said.append(("读取", read_columns_said(catalogue, rule, checks)))
    if rule.params:
        said.append(("参数", "，".join(f"{name} = {plain(value)}" for name, value in rule.params.items())))
    if catalogue.profile is not None:
        said += local_said(catalogue, rule, checks)
    for name in derived_named(catalogue, rule):
        derived = catalogue.derived[name]
        said.append(("派生名", f"{name}（{derived.title}）= {one_line(derived.expr)}"))
    return said


def local_said(catalogue: Catalogue, rule: Rule, checks: Sequence[RuleCheck]) -> list[tuple[str, str]]:
    """What the profile in force changes of the rule: each value, the default in whose place it stands, and why."""
    profile = catalogue.profile
    if profile is None:
        return []
    changed = [
        (name, override, "默认 " + plain(override.default), plain(override.value))
        for name, override in rule.overrides.items()
    ]
    if any(_judges_requirements(check) for check in checks):
        changed += [
            (
                f"{form_title(catalogue, form_id)} {field.name} {field.title}",
                override,
                str(override.default),
                str(override.value),
            )
            for form_id in rule.form_ids
            for field in catalogue.form(form_id).fields
            if (override := field.required_override) is not None
        ]
    verified = "" if profile.verified else "，待核"
    head = f"{profile.profile_id} {profile.title}（{LEVEL_TITLES[profile.level]}，依据：{profile.basis}{verified}）"
    said = [("本地参数", head if changed else f"{head}，对本条没有改动")]
    for name, override, default, value in changed:
        origin = catalogue.profiles[override.profile_id]
        place = f"{override.place.file} 第 {override.place.line} 行"
        said.append(("", f"{name}：{default}，{origin.title}改为 {value}；{override.why}（{place}）"))
    return said


def _judges_requirements(check: RuleCheck) -> bool:
    """Whether the check asks which fields must be filled."""
    per_field = check.rule.per_field
    if per_field is not None:
        return per_field.has == "required"
    parts = [part for one in (check.when, check.violated) if one is not None for part in walk(one.node)]
    return any(isinstance(part, Call) and part.op in COUNTING_OPS for part in parts)


def as_written(rule: Rule) -> tuple[tuple[str, str | None], ...]:
    """The expressions of a rule under the keys of its entry."""
    return (("when", rule.when), ("assert", rule.assertion), ("violated", rule.violated))


def fields_by_form(checks: Iterable[RuleCheck]) -> dict[str, list[str]]:
    """Form → the fields that a per-field rule became checks of."""
    fields: dict[str, list[str]] = defaultdict(list)
    for one in checks:
        fields[one.form_id].append(one.field)
    return fields


def sample_check(rule: Rule, checks: Sequence[RuleCheck]) -> RuleCheck | None:
    """The check that shows a rule best: the form where it reads most; of a per-field rule the field of an example."""
    if not checks:
        return None
    if not rule.per_field:
        return max(checks, key=lambda one: len(one.reads))
    for example in rule.fail_examples:
        shown = [one for one in checks if one.field in example.values]
        named = [one for one in shown if example.values.get("form", one.form_id) == one.form_id]
        if named:
            return named[0]
    return next((one for one in checks if one.when is not None and one.when.reads), checks[0])


def sql_of(rule: Rule, checks: Sequence[RuleCheck]) -> list[WrittenSql]:
    """The DuckDB SQL of the judgement, once for all forms that share it; of a per-field rule that of the sample."""
    sample = sample_check(rule, checks)
    if sample is None:
        return []
    forms: dict[tuple[str, str], list[str]] = defaultdict(list)
    for one in [sample] if rule.per_field else checks:
        applies = to_duckdb(one.when, None, plain=True) if one.when else "TRUE"
        forms[applies, to_duckdb(one.violated, None, plain=True)].append(one.form_id)
    return [WrittenSql(tuple(names), applies, violated) for (applies, violated), names in forms.items()]


def example_said(example: Example) -> str:
    """One example record on one line; a value not given is empty."""
    values = "，".join(f"{name} = {plain(value)}" for name, value in example.values.items())
    return f"{values or '全部为空'}{f'　（{example.note}）' if example.note else ''}"


def validity_said(rule: Rule) -> str:
    """From when until when a version holds."""
    until = f"至 {rule.valid_to.isoformat()}" if rule.valid_to else ""
    since = f"{rule.valid_from.isoformat()} 起" if rule.valid_from else ""
    return f"{since}{until}" or "不限"


def checked_said(rule: Rule) -> str:
    """Whether the figures were compared with the standard itself."""
    return "已与原件核对" if rule.verified else "待核：数值或口径尚未与原件核对"


def scope_title(catalogue: Catalogue, rule: Rule) -> str:
    """Which forms a rule is on: named when few, ``全部表单`` or ``n 张表单`` when it is generic."""
    count = len(rule.form_ids)
    if rule.forms in ((EVERY_FORM,), (EVERY_PERSON_FORM,)):
        return "全部表单" if count == len(catalogue.forms) else f"{count} 张表单（有其所读字段的）"
    if count > 3:
        return f"{count} 张表单"
    return "、".join(form_title(catalogue, form_id) for form_id in rule.form_ids)


def form_title(catalogue: Catalogue, form_id: str) -> str:
    """The Chinese title of a form or report; an unknown id stands for itself."""
    known = catalogue.forms.get(form_id) or catalogue.reports.get(form_id)
    return known.title if known else form_id


def columns_said(catalogue: Catalogue, form_id: str, names: Iterable[str]) -> str:
    """Columns of a form, or items of a report, each with its title."""
    form, report = catalogue.forms.get(form_id), catalogue.reports.get(form_id)
    known: Mapping[str, Any] = form.by_name if form else report.by_item if report else {}
    return "、".join(f"{name} {known[name].title}" if name in known else name for name in names)


def read_columns_said(catalogue: Catalogue, rule: Rule, checks: Sequence[RuleCheck]) -> str:
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


def derived_named(catalogue: Catalogue, rule: Rule) -> list[str]:
    """The derived names that a rule's expressions use."""
    computed = rule.suggestion.expr if rule.suggestion else None
    return derived_in((rule.when, rule.assertion, rule.violated, computed), catalogue.derived)


def plain(value: Any) -> str:
    """A parameter or an example's value as a clerk would read it."""
    if value is None:
        return "空"
    if isinstance(value, list):
        return "[" + ", ".join(plain(item) for item in value) + "]"
    if isinstance(value, date):
        return value.isoformat()
    return str(value)


def one_line(text: str | None) -> str:
    """An expression written over several lines as one."""
    return " ".join((text or "").split())
