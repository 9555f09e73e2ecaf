"""What ``phqc rules`` answers: check, test, list, show, as plain functions that return text or rows.

Belongs here: the catalogue told to people, in Chinese. Does not belong here: the command line (``cli``), loading.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from phqc_pipeline.catalogue.examples import run_examples
from phqc_pipeline.catalogue.explain import (
    checks_of,
    columns_said,
    example_said,
    facts,
    fields_by_form,
    form_title,
    judgement,
    sample_check,
    scope_title,
    sql_of,
)
from phqc_pipeline.catalogue.faults import CatalogueError, closest, describe
from phqc_pipeline.catalogue.layout import WIDTH, fact, table
from phqc_pipeline.catalogue.loader import load_catalogue
from phqc_pipeline.catalogue.model import DIMENSIONS, SEVERITIES, Catalogue, Rule, RuleCheck
from phqc_pipeline.catalogue.mutation import prove, prove_derived
from phqc_pipeline.catalogue.mutation_report import report
from phqc_pipeline.catalogue.profiles import with_profile

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


def test(catalogue: Catalogue, profile_id: str | None = None) -> Answer:  # noqa: PT028 - a command, not a test
    """Run every rule's examples in both engines and report the examples that came out otherwise than written.

    With a profile (LookupError if there is none of that name) also those whose result it changes: they are written for
    the catalogue's own figures, so a change is told and is no failure.
    """
    local = None if profile_id is None else with_profile(catalogue, profile_id)
    judged = [rule for rule in catalogue.rules if rule.carrier == "pandera"]
    examples = sum(len(rule.pass_examples) + len(rule.fail_examples) for rule in judged)
    failures = run_examples(catalogue)
    head = f"规则 {len(judged)} 条，样例 {examples} 个，Polars 与 DuckDB 各算一遍"
    said = [f"{head}：{f'{len(failures)} 个不一致' if failures else '全部与写明的结果一致'}"]
    said += [f"  {failure}" for failure in failures]
    if local is not None and local.profile is not None:
        known = {failure.example_key for failure in failures}
        changed = [failure for failure in run_examples(local) if failure.example_key not in known]
        failures += [failure for failure in changed if failure.engines_differ]
        outcome = f"{len(changed)} 个样例的结果因它改变" if changed else "没有样例的结果因它改变"
        said.append(f"本地参数 {profile_id} {local.profile.title}：{outcome}（样例按默认参数写，改变不算错）")
        said += [f"  {failure}" for failure in changed]
    return Answer(not failures, "\n".join(said))


def mutate(catalogue: Catalogue, rule_ids: Sequence[str] = (), form: str | None = None) -> Answer:
    """Prove the examples of the record rules (of those named, of one form): what change of a rule none would notice.

    Without a choice, the derived names too.

    LookupError for a rule or form that does not exist, or when no record rule is left.
    """
    named = {version.key for rule_id in rule_ids for version in _versions(catalogue, rule_id)}
    form_id = None if form is None else _form_id(catalogue, form)
    rules = [
        rule
        for rule in rule_rows(catalogue, form_id)
        if rule.carrier == "pandera" and (not rule_ids or rule.key in named)
    ]
    if not rules:
        raise LookupError("没有这样的记录规则；跨记录规则（dbt 承担）的样例在 tests/warehouse/test_cross_rules.py")
    proofs = list(prove(catalogue, rules))
    if not rule_ids and form is None:
        proofs += prove_derived(catalogue)
    return Answer(all(proof.holds for proof in proofs), report(proofs))


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
            scope_title(catalogue, rule),
            "" if rule.verified else "待核",
            rule.title,
        )
        for rule in rows
    ]
    return "\n".join([*table([LIST_HEADER, *cells]), f"共 {len(rows)} 条"])


def show(catalogue: Catalogue, rule_id: str, profile_id: str | None = None) -> str:
    """All versions of one rule explained, as a profile has it if one is named.

    LookupError, with the nearest name, when there is no such rule or profile.
    """
    if profile_id is not None:
        catalogue = with_profile(catalogue, profile_id)
    versions = _versions(catalogue, rule_id)
    return "\n\n".join(_explain(catalogue, rule, len(versions)) for rule in versions)


def _versions(catalogue: Catalogue, rule_id: str) -> list[Rule]:
    versions = catalogue.versions(rule_id) or catalogue.versions(rule_id.upper())
    if not versions:
        near = closest(rule_id.upper(), {rule.rule_id for rule in catalogue.rules})
        hint = f"是否应为 {near}？" if near else ""
        raise LookupError(f"没有规则 {rule_id}。{hint}用 phqc rules list 查看全部编号")
    return versions


def _form_id(catalogue: Catalogue, name: str) -> str:
    by_name = {said: form_id for form_id, entry in catalogue.forms.items() for said in entry.names}
    if name not in by_name:
        near = closest(name, by_name)
        raise LookupError(f"没有表单 {name}。" + (f"是否应为“{near}”？" if near else "写表单编号或标题"))
    return by_name[name]


def _explain(catalogue: Catalogue, rule: Rule, versions: int) -> str:
    checks = checks_of(catalogue, rule)
    version = f"（第 {rule.version} 版，共 {versions} 版）" if versions > 1 or rule.version > 1 else ""
    blocks = [
        [f"{rule.rule_id}  {rule.title}{version}"],
        _lines(facts(catalogue, rule)),
        _judgement(catalogue, rule, checks),
        _per_field(catalogue, checks) if rule.per_field else [],
        _sql(rule, checks),
        _examples(rule),
    ]
    return "\n\n".join("\n".join(block) for block in blocks if block)


def _lines(said: Iterable[tuple[str, str]]) -> list[str]:
    return [line for name, text in said for line in fact(name, text)]


def _judgement(catalogue: Catalogue, rule: Rule, checks: Sequence[RuleCheck]) -> list[str]:
    sample = sample_check(rule, checks)
    title = f"判定，以 {sample.form_id}.{sample.field} 为例" if sample and rule.per_field else "判定"
    return [title, *_lines(judgement(catalogue, rule, checks))]


def _per_field(catalogue: Catalogue, checks: Sequence[RuleCheck]) -> list[str]:
    lines = [f"按字段展开（{len(checks)} 项检查）"]
    for form_id, names in fields_by_form(checks).items():
        lines.append(f"  {form_title(catalogue, form_id)} {form_id}：{len(names)} 项")
        lines += fact("", columns_said(catalogue, form_id, names))
    return lines


def _sql(rule: Rule, checks: Sequence[RuleCheck]) -> list[str]:
    written = sql_of(rule, checks)
    lines = ["DuckDB SQL（格子不可用时读作 NULL；结果为 TRUE 才命中）"] if written else []
    for one in written:
        if len(written) > 1:
            lines.append(f"  -- {'、'.join(one.form_ids)}")
        lines += [*_sql_lines("适用", one.applies), *_sql_lines("命中", one.violated)]
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
            lines += fact(title, example_said(example))
    return lines
