"""Figures of tables that a warehouse may not have: scores by scheme, what a night changed, answers, services due.

Belongs here: reading each of them when its table is there, for one institution or all. Does not belong here: the
figures every warehouse has (``facts``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

import polars as pl

LOST_SHOWN, CHANGED_SHOWN, DUE_SHOWN = 12, 15, 30


class Asks(Protocol):
    """Queries of one scope: ``{mine}`` is the condition on institution_code, ``{night}`` the snapshot date."""

    institution_code: str

    def has(self, table: str, *columns: str) -> bool: ...

    def frame(self, sql: str) -> pl.DataFrame: ...


def read_further(ask: Asks) -> dict[str, pl.DataFrame]:
    """What there is of these, by name.

    ``scores``: scheme_title, judging, records, records_passed, score, mean_record_score, pass_line, reached …
    ``lost_rules``, ``lost_forms``: rule_id, severity or form_title, and how much of the judging scheme's score it cost.
    ``changes``, ``changed_rules``: who or rule_id, new_findings, fixed_findings … of the newest night, previous_date.
    ``answers``: answer, accepted, reason, answers (how many).
    ``due``, ``due_by_whom``: service_title or who (doctor, institution), overdue, this_month, soon.
    ``outlook``: indicator_title, value_none, value_all, to_do, target, meets_none, meets_all.
    """
    readers: Mapping[str, tuple[str, Callable[[Asks], str]]] = {
        "scores": ("mart.score", _scores),
        "lost_rules": ("mart.score_part", _lost_rules),
        "lost_forms": ("mart.score_part", _lost_forms),
        "changes": ("mart.night_change", _changes),
        "changed_rules": ("mart.night_change", _changed_rules),
        "answers": ("qc.answer", _answers),
        "due": ("mart.due_list", _due),
        "due_by_whom": ("mart.due_list", _due_by_whom),
        "outlook": ("mart.indicator_outlook", _outlook),
    }
    return {name: ask.frame(sql(ask)) for name, (table, sql) in readers.items() if ask.has(table)}


def _scores(ask: Asks) -> str:
    """By scheme, the judging one first; of all institutions together a score counts by what it rests on."""
    return """
        SELECT scheme_id, any_value(scheme_title) AS scheme_title, bool_or(judging) AS judging,
               sum(records)::BIGINT AS records, sum(records_passed)::BIGINT AS records_passed,
               sum(score * weight) / nullif(sum(weight), 0) AS score,
               sum(mean_record_score * records) / nullif(sum(records), 0) AS mean_record_score,
               any_value(pass_line) AS pass_line, count(*) FILTER (reached) AS reached,
               count(*) FILTER (NOT reached) AS not_reached
        FROM mart.score WHERE {mine} AND level = 'institution' GROUP BY scheme_id ORDER BY judging DESC, scheme_id"""


_LOST = """
    WITH whole AS (
        SELECT scheme_id, institution_code, weight, sum(weight) OVER (PARTITION BY scheme_id) AS total
        FROM mart.score WHERE {mine} AND level = 'institution' AND judging
    )
    SELECT %s, sum(p.lost * w.weight / nullif(w.total, 0)) AS lost
    FROM mart.score_part AS p JOIN whole AS w USING (scheme_id, institution_code)
    WHERE p.level = 'institution' GROUP BY ALL HAVING sum(p.lost) > 0 ORDER BY lost DESC, 1 LIMIT %d"""


def _lost_rules(ask: Asks) -> str:
    return _LOST % ("p.rule_id, p.severity", LOST_SHOWN)


def _lost_forms(ask: Asks) -> str:
    return _LOST % ("p.form_title", LOST_SHOWN)


_MOVED = """
    sum(new_findings)::BIGINT AS new_findings, sum(fixed_findings)::BIGINT AS fixed_findings,
    sum(reopened_findings)::BIGINT AS reopened_findings, sum(waived_findings)::BIGINT AS waived_findings,
    sum(retired_findings)::BIGINT AS retired_findings"""


def _changes(ask: Asks) -> str:
    """Doctors for an institution, institutions for the reader of all."""
    who = "coalesce(nullif(doctor_name, ''), '（未署名）')" if ask.institution_code else "institution_name"
    return f"""
        SELECT {who} AS who, {_MOVED}, max(previous_date) AS previous_date
        FROM mart.night_change WHERE {{mine}} AND snapshot_date = {{night}} AND previous_date IS NOT NULL
        GROUP BY 1 ORDER BY sum(new_findings + reopened_findings) DESC, sum(fixed_findings) DESC, who"""


def _changed_rules(ask: Asks) -> str:
    return f"""
        SELECT rule_id, any_value(severity) AS severity, {_MOVED}
        FROM mart.night_change WHERE {{mine}} AND snapshot_date = {{night}} AND previous_date IS NOT NULL
        GROUP BY rule_id ORDER BY sum(new_findings + reopened_findings + fixed_findings) DESC, rule_id
        LIMIT {CHANGED_SHOWN}"""


def _answers(ask: Asks) -> str:
    return """
        SELECT coalesce(answer, '') AS answer, accepted, coalesce(reason, '') AS reason, count(*) AS answers
        FROM qc.answer WHERE {mine} AND newest GROUP BY ALL ORDER BY accepted DESC, answers DESC, answer, reason"""


_DUE = """
    count(*) FILTER (state = '逾期') AS overdue, count(*) FILTER (state = '本月应做') AS this_month,
    count(*) FILTER (state = '将到期') AS soon, max(overdue_days) AS longest"""


def _due(ask: Asks) -> str:
    return f"""
        SELECT service_title, {_DUE} FROM mart.due_list WHERE {{mine}}
        GROUP BY service_title ORDER BY overdue DESC, service_title"""


def _due_by_whom(ask: Asks) -> str:
    """Doctors for an institution, institutions for the reader of all."""
    who = "coalesce(nullif(doctor_name, ''), '（未署名）')" if ask.institution_code else "institution_name"
    return f"""
        SELECT {who} AS who, {_DUE} FROM mart.due_list WHERE {{mine}}
        GROUP BY 1 ORDER BY overdue DESC, this_month DESC, who LIMIT {DUE_SHOWN}"""


def _outlook(ask: Asks) -> str:
    return """
        SELECT institution_name, indicator_title, year, value_none, value_all, to_do, target, meets_none, meets_all
        FROM mart.indicator_outlook WHERE {mine} AND value_none IS NOT NULL ORDER BY institution_code, indicator_id"""
