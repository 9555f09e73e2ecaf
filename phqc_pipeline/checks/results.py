"""How often each check was asked, concerned and violated, by institution; and what became of it.

Belongs here: the tally over batches, the five statuses and their order, the reasons. Does not belong here: evaluating.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import polars as pl

from phqc_pipeline.catalogue import Form, RuleCheck
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

_COUNTED = ("checked", "applicable", "violated")


class Tally:
    """Checked, applicable and violated of every check by institution, added up batch by batch."""

    def __init__(self, checks: Sequence[ResultKey]) -> None:
        self._checks = checks
        self._counts: dict[int, np.ndarray] = {}

    def add(self, counts: Mapping[int, np.ndarray]) -> None:
        """``counts``: institution (position) → a row a check: checked, applicable, violated."""
        for institution, counted in counts.items():
            before = self._counts.get(institution)
            self._counts[institution] = counted if before is None else before + counted

    def results(self, form: Form, institutions: Mapping[int, str]) -> pl.DataFrame:
        """Results of checks that were evaluated, one row an institution (position → code), rule and field.

        Versions of one rule are added up: each judges the records of its own time.
        """
        nothing = np.zeros((len(self._checks), 3), np.int64)
        whose = [position for position in institutions if self._checks]
        counts = np.concatenate([self._counts.get(position, nothing) for position in whose] or [nothing[:0]])
        rows = pl.DataFrame(counts, schema=dict.fromkeys(_COUNTED, pl.Int64)).with_columns(
            pl.Series("institution_code", [institutions[position] for position in whose], pl.String)
            .repeat_by(len(self._checks))
            .explode(),
            *(
                pl.Series(name, [key[part] for key in self._checks] * len(whose), pl.String)
                for part, name in enumerate(("rule_id", "field"))
            ),
        )
        added = rows.group_by("institution_code", "rule_id", "field", maintain_order=True).agg(pl.col(_COUNTED).sum())
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
    nothing = [pl.lit(0, pl.Int64).alias(name) for name in _COUNTED]
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
    return not_asked(form, dict.fromkeys(institutions, NOT_RECEIVED), checks)


def not_asked(form: Form, reasons: Mapping[str, str], checks: Sequence[RuleCheck]) -> pl.DataFrame:
    """Every check of a form, not evaluable at these institutions. ``reasons``: institution → why."""
    keys = dict.fromkeys((check.rule.rule_id, check.field) for check in checks)
    rows = unjudged_results(form, list(reasons), dict.fromkeys(keys, ""), "not_evaluable")
    return rows.with_columns(pl.col("institution_code").replace_strict(reasons, return_dtype=pl.String).alias("reason"))


def _completed(rows: pl.DataFrame, form: Form) -> pl.DataFrame:
    return rows.with_columns(pl.lit(form.form_id).alias("form_id")).select(
        pl.col(name).cast(kind) for name, kind in RESULT_SCHEMA.items()
    )
