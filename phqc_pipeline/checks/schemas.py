"""Record rules as Pandera schemas: one ``DataFrameSchema`` a form, one ``Check`` a rule (per-field rules: a field).

Belongs here: what a check holds; how applicability, validity and suppression compose into "this record violates it".
Does not belong here: the rules (``rules/``), how an expression is compiled (``catalogue.expressions``), the nightly
evaluation (``runner``), which goes by the same judgements, cut down to what is undecided of a batch.

The schema is the declaration anyone can run: ``schema_for(cat, "htn_followup", ctx).validate(frame, lazy=True)`` on
judged rows of the lake finds what the night finds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import pandera.polars as pa
import polars as pl
from pandera.config import ValidationDepth, config_context

from phqc_pipeline.catalogue import Catalogue, Context, Form, RuleCheck
from phqc_pipeline.catalogue.expressions import Expression, PolarsRenderer, check_polars, nodes, usable_polars
from phqc_pipeline.catalogue.expressions.nodes import Call, Constant, ContextValue, Node
from phqc_pipeline.catalogue.expressions.types import as_date, column_node
from phqc_pipeline.checks.lake import lake_schema

JUDGEMENT = "judgement"  # under this key a pandera Check's statistics hold what the runner takes out

ResultKey = tuple[str, str]  # (rule_id, field): one line of results for an institution and form


@dataclass(frozen=True, eq=False)
class Judgement:
    """One check on the records of one form, as language trees and, when asked for, as Polars expressions.

    ``in_force``: the service date lies in the rule's validity (None: always, ruling 0a.16). ``concerned``: in force,
    and the rule concerns the record (None: it concerns all). ``own``: concerned and the judgement fails, whatever else
    is wrong with the record. While one of ``suppressors`` fails on a record, this check is not reported there.
    """

    check: RuleCheck
    name: str
    ctx: Context
    missing_columns: frozenset[str]
    in_force: Node | None
    concerned: Node | None
    own: Node
    suppressors: tuple[Judgement, ...] = ()

    @property
    def result_key(self) -> ResultKey:
        return (self.check.rule.rule_id, self.check.field)

    @cached_property
    def failure(self) -> str:
        """Why the check cannot be compiled; empty when it can."""
        try:
            self.compiled(self.own)
        except Exception as error:  # one rule that does not compile must cost only itself
            return f"{type(error).__name__}: {error}"
        return ""

    def compiled(self, own: Node, renderer: PolarsRenderer | None = None) -> pl.Expr:
        """The check's violation, written as ``own`` (perhaps cut down), over the lake's columns: TRUE or FALSE."""
        alone = replace(self.check, when=None, violated=Expression("", own))
        return check_polars(alone, self.ctx, self.missing_columns, renderer)[1]

    def violation(self) -> pl.Expr:
        """What is reported: own violation, unless a suppressing check is violated as well."""
        others = [other.compiled(other.own) for other in self.suppressors if not other.failure]
        own = self.compiled(self.own)
        return own & ~pl.any_horizontal(others) if others else own


class RecordSchema(pa.DataFrameSchema):
    """A ``pandera.polars`` schema whose ``validate`` always looks at the data.

    Pandera checks a LazyFrame's column types alone, and with ``PANDERA_VALIDATION_DEPTH`` or
    ``PANDERA_VALIDATION_ENABLED`` in the environment perhaps a DataFrame's too: rules would pass unseen. The depth is
    therefore fixed here, and a LazyFrame is collected.
    """

    @classmethod
    def get_backend(cls, check_obj: Any | None = None, check_type: type | None = None) -> Any:
        return pa.DataFrameSchema.get_backend(check_obj, check_type)  # Pandera knows backends by the exact class

    def validate(self, check_obj: Any, *args: Any, **kwargs: Any) -> Any:
        lazy = isinstance(check_obj, pl.LazyFrame)
        frame = check_obj.collect() if lazy else check_obj
        with config_context(validation_enabled=True, validation_depth=ValidationDepth.SCHEMA_AND_DATA):
            checked = super().validate(frame, *args, **kwargs)
        return checked.lazy() if lazy else checked


def schema_for(
    cat: Catalogue,
    form_id: str,
    ctx: Context,
    *,
    missing_columns: frozenset[str] = frozenset(),
    rules: Collection[str] | None = None,
) -> RecordSchema:
    """The form's record rules as one Pandera schema over its lake columns.

    ``missing_columns`` are the columns the delivered file lacks: rules that need one of them are left out (0a.8).
    ``rules`` (None: all) are those of a scheme; a rule outside it is not judged and suppresses nothing.
    A check's name is the rule's id, ``/`` and the field for a per-field rule (``@`` and the version in between when
    several versions are loaded). A rule that cannot be compiled stays in the schema as a check that always raises.
    """
    form = cat.form(form_id)
    judgements = judgements_for(cat, form_id, ctx, missing_columns, rules)
    return RecordSchema(
        columns={name: pa.Column(kind, nullable=True, required=False) for name, kind in lake_schema(form).items()},
        checks=[_as_pandera(judgement) for judgement in judgements],
        name=form_id,
        title=form.title,
    )


def judgements_for(
    cat: Catalogue,
    form_id: str,
    ctx: Context,
    missing_columns: frozenset[str] = frozenset(),
    rules: Collection[str] | None = None,
) -> list[Judgement]:
    """What the schema's checks hold, in their order: the runner needs no schema around it."""
    form = cat.form(form_id)
    asked = checks_of(cat, form_id, rules)
    left_out = not_evaluable(asked, missing_columns)
    checks = [check for check in asked if (check.rule.rule_id, check.field) not in left_out]
    versions = Counter((check.rule.rule_id, check.field) for check in checks)
    alone = [_judgement(check, form, ctx, missing_columns, versions) for check in checks]
    by_rule: dict[str, list[Judgement]] = {}
    for judgement in alone:
        by_rule.setdefault(judgement.check.rule.rule_id, []).append(judgement)
    return [_with_suppressors(judgement, by_rule) for judgement in alone]


def judgements_of(schema: pa.DataFrameSchema) -> list[Judgement]:
    """The expressions inside the schema's checks, in the order of the checks."""
    return [check.statistics[JUDGEMENT] for check in schema.checks]


def checks_of(cat: Catalogue, form_id: str, rules: Collection[str] | None) -> list[RuleCheck]:
    """The form's checks, of these rules alone unless None."""
    return [check for check in cat.checks(form_id) if rules is None or check.rule.rule_id in rules]


def not_evaluable(checks: Iterable[RuleCheck], missing_columns: frozenset[str]) -> dict[ResultKey, set[str]]:
    """The results that a delivery without ``missing_columns`` cannot have → the columns each would need (0a.8)."""
    lacking: dict[ResultKey, set[str]] = {}
    for check in checks:
        needed = check.required & missing_columns
        if needed:
            lacking.setdefault((check.rule.rule_id, check.field), set()).update(needed)
    return lacking


def service_date_of(form: Form) -> pl.Expr:
    """The date of service of a record (usable reading, as a date), NULL when it is empty or unusable."""
    return usable_polars(form.field(form.service_date)).cast(pl.Date)


def _judgement(
    check: RuleCheck, form: Form, ctx: Context, missing: frozenset[str], versions: Counter[ResultKey]
) -> Judgement:
    rule = check.rule
    name = rule.rule_id
    if versions[(rule.rule_id, check.field)] > 1:
        name += f"@{rule.version}"
    if rule.per_field is not None:
        name += f"/{check.field}"
    in_force = _in_force(check, form)
    concerned = [part for part in (in_force, check.when.node if check.when else None) if part is not None]
    return Judgement(
        check,
        name,
        ctx,
        missing,
        in_force,
        nodes.all_of(*concerned) if concerned else None,
        nodes.all_of(*concerned, check.violated.node),
    )


def _in_force(check: RuleCheck, form: Form) -> Node | None:
    """Whether the service date lies in the rule's validity; a record without one is judged as of today."""
    rule = check.rule
    served = as_date(column_node(form.field(form.service_date)))
    day = Call("coalesce", (served, ContextValue("today")), "date")
    limits = [("ge", rule.valid_from), ("le", rule.valid_to)]
    parts = [Call(op, (day, Constant(limit, "date")), "bool") for op, limit in limits if limit is not None]
    return nodes.all_of(*parts) if parts else None


def _with_suppressors(judgement: Judgement, by_rule: Mapping[str, Iterable[Judgement]]) -> Judgement:
    """Between two per-field rules, only the same field's check suppresses; else any check of the suppressing rule."""
    rule = judgement.check.rule
    suppressors = tuple(
        other
        for rule_id in rule.suppressed_by
        for other in by_rule.get(rule_id, ())
        if rule.per_field is None or other.check.rule.per_field is None or other.check.field == judgement.check.field
    )
    return replace(judgement, suppressors=suppressors)


def _as_pandera(judgement: Judgement) -> pa.Check:
    rule = judgement.check.rule
    return pa.Check(
        _Passes(judgement),
        name=judgement.name,
        title=rule.title,
        description=rule.message,
        statistics={JUDGEMENT: judgement},
    )


@dataclass(frozen=True, eq=False)
class _Passes:
    """What Pandera calls: the frame with one column, TRUE where the record does not violate the check."""

    judgement: Judgement

    def __call__(self, data: Any) -> pl.LazyFrame:
        if self.judgement.failure:
            raise RuntimeError(f"规则 {self.judgement.name} 无法计算：{self.judgement.failure}")
        # with_columns first, so that an expression without columns still has a value for every row
        passes = (~self.judgement.violation()).alias(JUDGEMENT)
        return data.lazyframe.with_columns(passes).select(JUDGEMENT)
