"""Figures of tables that a warehouse may not have: scores by scheme, what a night changed, answers, services due.

Belongs here: reading each of them when its table is there, for one institution or all. Does not belong here: the
figures every warehouse has (``facts``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

import polars as pl

LOST_SHOWN, CHANGED_SHOWN, DUE_SHOWN = 12, 15, 30
CAUSES_READ, ARCHIVES_NAMED = 200, 100


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
    ``difference_causes``: a reported figure (report_id, item, year, period) that differs, direction, cause, details,
    entries (how many), listed (archive numbers, or records; the first of them, for an institution alone).
    ``indicators_of_all``: institution_code, indicator_id, indicator_title, year, period, value, target, meets of the
    newest period, those with a target first; for the reader of all.
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
        "difference_causes": ("report.difference", _difference_causes),
        **({} if ask.institution_code else {"indicators_of_all": ("indicator.value", _indicators_of_all)}),
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
    sum(waiver_ended_findings)::BIGINT AS waiver_ended_findings, sum(retired_findings)::BIGINT AS retired_findings"""


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


def _difference_causes(ask: Asks) -> str:
    """By the figure that differs most, then by how many stand for a cause."""
    named = (
        "list_distinct(list(coalesce(archive_no, '记录 ' || record_id))).list_filter(x -> x IS NOT NULL).list_sort()"
    )
    listed = f"({named})[:{ARCHIVES_NAMED}]" if ask.institution_code else "[]::VARCHAR[]"
    return f"""
        SELECT d.institution_code, report_id, item, year, period, direction, cause,
               array_to_string(list_sort(list(DISTINCT detail))[:3], '；') AS details,
               coalesce(sum(amount) FILTER (cause = '未能说明')::BIGINT, count(*)) AS entries,
               {listed} AS listed
        FROM (
            SELECT *, coalesce(archive_no, '记录 ' || record_id) AS who FROM report.difference WHERE {{mine}}
        ) AS d
        JOIN (SELECT institution_code, report_id, item, year, period, difference FROM report.reconciliation) AS r
            USING (institution_code, report_id, item, year, period)
        GROUP BY ALL ORDER BY max(abs(r.difference)) DESC NULLS LAST, d.institution_code, report_id, item,
            year DESC, period, entries DESC, direction, cause LIMIT {CAUSES_READ}"""


def _indicators_of_all(ask: Asks) -> str:
    """The newest year's widest period (a year before a quarter before a month, the last of them) with any value."""
    told = "indicator_title" if ask.has("indicator.value", "indicator_title") else "indicator_id"
    aims = "target, meets" if ask.has("indicator.value", "target", "meets") else "NULL::DOUBLE AS target, NULL AS meets"
    return f"""
        WITH valued AS (
            SELECT *, (year, CASE period[1] WHEN 'Y' THEN 3 WHEN 'Q' THEN 2 ELSE 1 END, period) AS age
            FROM indicator.value WHERE {{mine}} AND value IS NOT NULL
        )
        SELECT institution_code, indicator_id, {told} AS indicator_title, year, period, value::DOUBLE AS value, {aims}
        FROM valued WHERE age = (SELECT max(age) FROM valued)
        ORDER BY bool_or(target IS NOT NULL) OVER (PARTITION BY indicator_id) DESC, indicator_id, institution_code"""
