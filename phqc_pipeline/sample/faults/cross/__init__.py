"""What cross rules say of one institution's final records: the second, independent judgement behind the answer key.

Belongs here: one module a family of rules, each rule as a few lines of Polars over the judged records (``Truth``).
Does not belong here: record rules (``judge``), how faults are made (``recipes``).

Written from the rule catalogue's wording, not from the dbt models: the two must agree, and a test of the whole night
says whether they do.
"""

from __future__ import annotations

from collections.abc import Mapping

from phqc_pipeline.sample.faults.cross import (
    archives,
    authenticity,
    child,
    chronic,
    community,
    core,
    duplicates,
    exams,
    maternal,
    reports,
    tuberculosis,
    vaccination,
)
from phqc_pipeline.sample.faults.truth import Finding, Judgement, Truth

_FAMILIES = (
    core,
    duplicates,
    authenticity,
    chronic,
    tuberculosis,
    reports,
    archives,
    exams,
    child,
    vaccination,
    maternal,
    community,
)
JUDGEMENTS: Mapping[str, Judgement] = {
    rule_id: one for family in _FAMILIES for rule_id, one in family.JUDGEMENTS.items()
}


def cross_findings(truth: Truth) -> list[Finding]:
    """Everything the cross rules in force on the night find."""
    found: list[Finding] = []
    for rule in truth.cat.rules:
        judgement = JUDGEMENTS.get(rule.rule_id)
        if rule.carrier == "dbt" and judgement and (rule.grain == "row" or rule.in_force_on(truth.ctx.period_end)):
            for form_id in rule.form_ids or rule.forms:
                if form_id in truth.rows or form_id in truth.reports:
                    found += judgement(truth, rule, form_id)
    return found
