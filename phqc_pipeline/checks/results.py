"""How often each check was asked, concerned and violated, by institution; and what became of it.

Belongs here: the tally over batches, the five statuses and their order, the reasons. Does not belong here: evaluating.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import polars as pl

from phqc_pipeline.catalogue import Form, RuleCheck
from phqc_pipeline.checks.lake import INSTITUTION
from phqc_pipeline.checks.schemas import ResultKey

RESULT_SCHEMA: dict[str, pl.DataType] = {
    "institution_code": pl.String(),
    "form_id": pl.String(),
    "rule_id": pl.String(),
    "field": pl.String(),
    "status": pl.String(),
    "checked": pl.Int64(),
    "applicable": pl.Int64(),
    "violated": pl.Int64(),
    "reason": pl.String(),
}
#: Worst first: a status holds when none before it does.
STATUSES = ("error", "not_evaluable", "not_applicable", "fail", "pass")
NOT_RECEIVED = "未收到该表"

JUDGED = "judged"  # the count of judged records, beside the counts of the flags

_COUNT_SCHEMA: dict[str, pl.DataType] = {INSTITUTION: pl.UInt32(), "flag": pl.String(), "rows": pl.Int64()}


class Tally:
    """Counts of TRUE by institution and flag, added up batch by batch. Zero counts are not kept."""

    def __init__(self) -> None:
        self._parts: list[pl.DataFrame] = []

    def add(self, flags: pl.DataFrame) -> None:
        """``flags``: ``_institution`` (rows come institution by institution) and one boolean column a flag."""
        if flags.is_empty():
            return
        counts = _counts(flags).with_columns(pl.exclude(INSTITUTION).cast(pl.Int64))
        long = counts.unpivot(index=INSTITUTION, variable_name="flag", value_name="rows")
        counted = long.filter(pl.col("rows") > 0)
        self._parts.append(counted.select(pl.col(name).cast(kind) for name, kind in _COUNT_SCHEMA.items()))

    def drop(self, institutions: Collection[int]) -> None:
        """Forget everything counted for these institutions."""
        self._parts = [part.filter(~pl.col(INSTITUTION).is_in(list(institutions))) for part in self._parts]

    def counts(self) -> pl.DataFrame:
        """``_institution``, ``flag``, ``rows``."""
        if not self._parts:
            return pl.DataFrame(schema=_COUNT_SCHEMA)
        return pl.concat(self._parts).group_by(INSTITUTION, "flag").agg(pl.col("rows").sum())


def counted_results(form: Form, institutions: pl.DataFrame, checks: pl.DataFrame, counts: pl.DataFrame) -> pl.DataFrame:
    """Results of checks that were evaluated, one row an institution, rule and field.

    ``institutions``: ``_institution``, ``institution_code``. ``checks``: ``rule_id``, ``field`` and the names of the
    flags that count it: ``checked``, ``applicable``, ``violated``. Versions of one rule are added up: each judges the
    records of its own time.
    """
    rows = institutions.join(checks, how="cross")
    for count in ("checked", "applicable", "violated"):
        found = counts.rename({"flag": count, "rows": f"{count}_rows"})
        rows = rows.join(found, on=[INSTITUTION, count], how="left")
    added = rows.group_by("institution_code", "rule_id", "field", maintain_order=True).agg(
        pl.col(f"{count}_rows").fill_null(0).sum().alias(count) for count in ("checked", "applicable", "violated")
    )
    status = (
        pl.when(pl.col("applicable") == 0).then(pl.lit("not_applicable"))
        .when(pl.col("violated") > 0).then(pl.lit("fail"))
        .otherwise(pl.lit("pass"))
    )  # fmt: skip
    return _completed(added.with_columns(status.alias("status"), pl.lit(None, pl.String).alias("reason")), form)


def unjudged_results(
    form: Form, institutions: Sequence[str], reasons: Mapping[ResultKey, str], status: str
) -> pl.DataFrame:
    """Results of checks that could not be evaluated (``not_evaluable``) or whose evaluation failed (``error``)."""
    keys = pl.DataFrame(
        [(rule_id, field, reason) for (rule_id, field), reason in reasons.items()],
        schema={"rule_id": pl.String, "field": pl.String, "reason": pl.String},
        orient="row",
    )
    whose = pl.DataFrame({"institution_code": list(institutions)}, schema={"institution_code": pl.String})
    nothing = [pl.lit(0, pl.Int64).alias(name) for name in ("checked", "applicable", "violated")]
    return _completed(whose.join(keys, how="cross").with_columns(pl.lit(status).alias("status"), *nothing), form)


def lacking_reasons(form: Form, lacking: Mapping[ResultKey, Collection[str]]) -> dict[ResultKey, str]:
    """``缺少列：收缩压（sbp）`` for every result a delivery cannot have; columns in the order of the form."""
    order = {column.name: position for position, column in enumerate(form.fields)}
    return {
        key: "缺少列："
        + "、".join(f"{form.field(name).title}（{name}）" for name in sorted(names, key=order.__getitem__))
        for key, names in lacking.items()
    }


def not_received(form: Form, institutions: Sequence[str], checks: Sequence[RuleCheck]) -> pl.DataFrame:
    """Every check of a form these institutions have never delivered."""
    keys = dict.fromkeys((check.rule.rule_id, check.field) for check in checks)
    return unjudged_results(form, institutions, dict.fromkeys(keys, NOT_RECEIVED), "not_evaluable")


def _counts(flags: pl.DataFrame) -> pl.DataFrame:
    """One row an institution: how many rows, and how often each flag is TRUE."""
    counted = [pl.len().alias(JUDGED), pl.exclude(INSTITUTION).sum()]
    if flags[INSTITUTION][0] == flags[INSTITUTION][-1]:
        return flags.select(pl.col(INSTITUTION).first(), *counted)
    return flags.group_by(INSTITUTION).agg(*counted)


def _completed(rows: pl.DataFrame, form: Form) -> pl.DataFrame:
    return rows.with_columns(pl.lit(form.form_id).alias("form_id")).select(
        pl.col(name).cast(kind) for name, kind in RESULT_SCHEMA.items()
    )
