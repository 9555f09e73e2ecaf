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


def institution_scores_sql(name: str, present: str) -> str:
    """institution_code, records, passed, score and mean_record_score (0 to 100) by the findings in table ``name`` and
    the one scheme in ``<name>_scheme``, ``_scheme_rule``, ``_scheme_form``. ``present``: SQL of the list of Parquet
    files of subjects.

    As ``mart.score`` has it, on a night's own files: for a comparison that builds no warehouse.
    """
    return f"""
        WITH marked AS (
            SELECT f.institution_code, f.form_id, f.subject_id, sum(r.points) AS points, bool_or(r.fails) AS fails
            FROM {name} AS f JOIN {name}_scheme_rule AS r
                ON r.rule_id = f.rule_id AND r.form_id = f.form_id AND r.rule_version = f.rule_version AND r.scored
            WHERE f.subject_kind = 'record' GROUP BY ALL
        ),
        records AS (
            SELECT p.institution_code, coalesce(w.weight, 1) AS weight,
                100 - least(100, coalesce(m.points, 0)) AS record_score,
                NOT coalesce(m.fails, FALSE) AND record_score >= coalesce(s.record_line, 0) AS passed
            FROM read_parquet({present}) AS p CROSS JOIN {name}_scheme AS s
            LEFT JOIN {name}_scheme_form AS w ON w.form_id = p.form_id
            LEFT JOIN marked AS m ON m.institution_code = p.institution_code AND m.form_id = p.form_id
                AND m.subject_id = p.subject_id
            WHERE p.subject_kind = 'record'
        )
        SELECT institution_code, count(*) AS records, count(*) FILTER (passed) AS passed,
            coalesce(100.0 * sum(weight) FILTER (passed) / nullif(sum(weight), 0), 0) AS score,
            avg(record_score) AS mean_record_score
        FROM records GROUP BY institution_code"""
