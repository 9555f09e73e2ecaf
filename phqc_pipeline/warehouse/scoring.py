"""What each scheme makes of a violation: the tables the score marts and a comparison of catalogues read.

Belongs here: schemes as tables, the record scores as one query. Does not belong here: what a scheme says
(``catalogue.schemes``), doctors' and institutions' scores (``dbt_project/models/marts``).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import polars as pl

from phqc_pipeline.catalogue import Catalogue, Plan, Scheme

SCHEME: dict[str, Any] = {
    "scheme_id": pl.String,
    "title": pl.String,
    "judging": pl.Boolean,
    "record_line": pl.Float64,
    "doctor_line": pl.Float64,
    "institution_line": pl.Float64,
}
SCHEME_RULE: dict[str, Any] = {
    "scheme_id": pl.String,
    "form_id": pl.String,
    "rule_id": pl.String,
    "rule_version": pl.Int32,
    "points": pl.Float64,
    "fails": pl.Boolean,
    "scored": pl.Boolean,
}
SCHEME_FORM: dict[str, Any] = {"scheme_id": pl.String, "form_id": pl.String, "weight": pl.Float64}


def scoring_schemes(cat: Catalogue, plan: Plan) -> list[Scheme]:
    """The plan's own scheme first, then those that score its findings beside it."""
    others = [one for one in cat.schemes if plan.also_score is None or one in plan.also_score]
    return [cat.schemes[one] for one in dict.fromkeys([plan.scheme, *others])]


def scheme_table(schemes: Iterable[Scheme], judging: str) -> pl.DataFrame:
    """SCHEME: one row a scheme; ``judging``: the one whose rules the night judged by."""
    rows = [
        {
            "scheme_id": scheme.scheme_id,
            "title": scheme.title,
            "judging": scheme.scheme_id == judging,
            **{f"{level}_line": scheme.pass_lines.get(level) for level in ("record", "doctor", "institution")},
        }
        for scheme in schemes
    ]
    return pl.DataFrame(rows, schema=SCHEME)


def scheme_rule_table(cat: Catalogue, schemes: Iterable[Scheme]) -> pl.DataFrame:
    """SCHEME_RULE: what one violation costs a record, of every rule version on every form the scheme takes it on."""
    rows = [
        (
            scheme.scheme_id,
            form_id,
            rule.rule_id,
            rule.version,
            scheme.points(rule),
            scheme.fails(rule),
            rule.dimension not in scheme.unscored_dimensions,
        )
        for scheme in schemes
        for rule in cat.rules
        for form_id in rule.form_ids
        if scheme.takes(rule.rule_id, form_id)
    ]
    return pl.DataFrame(rows, schema=SCHEME_RULE, orient="row")


def scheme_form_table(schemes: Iterable[Scheme]) -> pl.DataFrame:
    """SCHEME_FORM: what a form's record counts in a doctor's or institution's score, where it is not 1."""
    rows = [
        (scheme.scheme_id, form_id, float(weight))
        for scheme in schemes
        for form_id, weight in scheme.form_weights.items()
    ]
    return pl.DataFrame(rows, schema=SCHEME_FORM, orient="row")
