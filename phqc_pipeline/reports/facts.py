"""What the reports say, read once from a published warehouse.

Belongs here: the queries. Does not belong here: how their answers look.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

import duckdb
import polars as pl

from phqc_pipeline.catalogue import Catalogue

SEVERITY_ORDER = "CASE severity WHEN '严重' THEN 1 WHEN '一般' THEN 2 ELSE 3 END"


@dataclass(frozen=True)
class InstitutionFacts:
    """One institution's figures of one night; every frame is sorted as it is to be read."""

    institution_code: str
    institution_name: str
    snapshot: date
    run_id: str
    by_form: pl.DataFrame  # form_id, records, records_failed, pass_rate, severe, ordinary, hint
    by_dimension: pl.DataFrame  # dimension, findings
    by_doctor: pl.DataFrame  # doctor_name, findings, severe
    worst_rules: pl.DataFrame  # rule_id, title, severity, findings, share
    not_judged: pl.DataFrame  # reason, rules
    files: pl.DataFrame  # form_id, snapshot_date, path, status, reason, rows_read, rows_rejected
    reconciliation: pl.DataFrame  # report_id, year, period, item, reported, recomputed (not NULL), difference, status
    not_recomputed: int  # reported figures beside these, which the records cannot tell
    charges: pl.DataFrame

    @property
    def findings(self) -> int:
        return int(self.by_dimension["findings"].sum())

    @property
    def records(self) -> int:
        return int(self.by_form["records"].sum())

    @property
    def pass_rate(self) -> float | None:
        """Share of records without a severe finding (rules.md, section 0), None when nothing was judged."""
        failed = int(self.by_form["records_failed"].sum())
        return None if self.records == 0 else 1 - failed / self.records


def institutions(con: duckdb.DuckDBPyConnection) -> list[str]:
    """Every institution that was judged in the latest night, or delivered a file."""
    rows = con.execute(
        "SELECT DISTINCT institution_code FROM qc.rule_result UNION SELECT institution_code FROM ingest.file ORDER BY 1"
    ).fetchall()
    return [code for (code,) in rows if code]


def read_facts(
    con: duckdb.DuckDBPyConnection, institution_code: str, institution_name: str, snapshot: date
) -> InstitutionFacts:
    """The figures of one institution in the night of ``snapshot``."""

    def frame(sql: str, *parameters: Any) -> pl.DataFrame:
        return con.execute(sql, list(parameters)).pl()

    run = con.execute(
        "SELECT run_id FROM qc.run WHERE snapshot_date = ? AND status <> 'failed' ORDER BY finished_at DESC LIMIT 1",
        [snapshot],
    ).fetchone()
    return InstitutionFacts(
        institution_code=institution_code,
        institution_name=institution_name,
        snapshot=snapshot,
        run_id=run[0] if run else "",
        by_form=frame(
            """
            WITH judged AS (
                SELECT form_id, max(checked) AS records
                FROM qc.rule_result
                WHERE institution_code = $1 AND snapshot_date = $2 AND rule_id IN (
                    SELECT rule_id FROM qc.rule WHERE grain = 'row')
                GROUP BY form_id),
            found AS (
                SELECT form_id,
                       count(DISTINCT record_id) FILTER (severity = '严重' AND subject_kind = 'record')
                           AS records_failed,
                       count(*) FILTER (severity = '严重') AS severe,
                       count(*) FILTER (severity = '一般') AS ordinary,
                       count(*) FILTER (severity = '提示') AS hint
                FROM qc.finding_current WHERE institution_code = $1 GROUP BY form_id)
            SELECT form_id, coalesce(records, 0)::BIGINT AS records, coalesce(records_failed, 0) AS records_failed,
                   CASE WHEN records > 0 THEN 1 - coalesce(records_failed, 0) / records END AS pass_rate,
                   coalesce(severe, 0) AS severe, coalesce(ordinary, 0) AS ordinary, coalesce(hint, 0) AS hint
            FROM judged FULL JOIN found USING (form_id)
            WHERE coalesce(records, 0) > 0 OR found.form_id IS NOT NULL
            ORDER BY severe DESC, form_id
            """,
            institution_code,
            snapshot,
        ),
        by_dimension=frame(
            "SELECT dimension, count(*) AS findings FROM qc.finding_current WHERE institution_code = $1 "
            "GROUP BY dimension ORDER BY findings DESC, dimension",
            institution_code,
        ),
        by_doctor=frame(
            "SELECT coalesce(doctor_name, '（未署名）') AS doctor_name, count(*) AS findings, "
            "count(*) FILTER (severity = '严重') AS severe FROM qc.finding_current WHERE institution_code = $1 "
            "GROUP BY 1 ORDER BY severe DESC, findings DESC, 1 LIMIT 30",
            institution_code,
        ),
        worst_rules=frame(
            f"""
            SELECT f.rule_id, any_value(r.title) AS title, any_value(f.severity) AS severity, f.form_id,
                   count(*) AS findings, any_value(f.message) AS example
            FROM qc.finding_current f
            LEFT JOIN (SELECT rule_id, max_by(title, version) AS title FROM qc.rule GROUP BY rule_id) r USING (rule_id)
            WHERE f.institution_code = $1
            GROUP BY f.rule_id, f.form_id
            ORDER BY {SEVERITY_ORDER.replace("severity", "any_value(f.severity)")}, findings DESC, f.rule_id LIMIT 20
            """,
            institution_code,
        ),
        not_judged=frame(
            "SELECT form_id, reason, count(DISTINCT rule_id) AS rules FROM qc.rule_result "
            "WHERE institution_code = $1 AND snapshot_date = $2 AND status IN ('not_evaluable', 'error') "
            "GROUP BY form_id, reason ORDER BY form_id, rules DESC",
            institution_code,
            snapshot,
        ),
        files=frame(
            "SELECT form_id, snapshot_date, path, status, reason, rows_read, rows_loaded, rows_rejected "
            "FROM ingest.file WHERE institution_code = $1 ORDER BY snapshot_date DESC, form_id, path LIMIT 200",
            institution_code,
        ),
        reconciliation=frame(
            "SELECT report_id, year, period, item, reported, recomputed, difference, status FROM report.reconciliation "
            "WHERE institution_code = $1 AND recomputed IS NOT NULL ORDER BY report_id, year DESC, period, item",
            institution_code,
        ),
        not_recomputed=frame(
            "SELECT count(*) AS figures FROM report.reconciliation "
            "WHERE institution_code = $1 AND reported IS NOT NULL AND recomputed IS NULL",
            institution_code,
        ).item(),
        charges=frame("SELECT * FROM billing.charge WHERE institution_code = $1 ORDER BY order_no", institution_code),
    )


def findings_for_people(con: duckdb.DuckDBPyConnection, cat: Catalogue, institution_code: str) -> pl.DataFrame:
    """The institution's open findings with what its own staff need to find the record: whose it is, where it came from.

    Personal values stand in full, because these are the institution's own data (contract, section 3): only for that
    institution's workbook. Columns: severity, form_id, doctor_name, person_name, archive_no, service_date, record_id,
    field, observed, expected, message, suggestion, rule_id, state, first_seen, root_id, source_path, row_number.
    """
    parts = []
    forms = con.execute(
        "SELECT DISTINCT form_id FROM qc.finding_current WHERE institution_code = ? ORDER BY form_id",
        [institution_code],
    ).fetchall()
    for (form_id,) in forms:
        parts.append(con.execute(_findings_of_form(con, cat, form_id), [institution_code, form_id]).pl())
    if not parts:
        return pl.DataFrame(schema=dict.fromkeys(("severity", "form_id", "rule_id"), pl.String))
    return pl.concat(parts, how="diagonal_relaxed")


def _findings_of_form(con: duckdb.DuckDBPyConnection, cat: Catalogue, form_id: str) -> str:
    """The query of one form's findings. A record finding is joined to its record, any other to its person's records."""
    in_full, person, source, row, joins = "f.observed", "NULL::VARCHAR", "NULL::VARCHAR", "NULL::BIGINT", ""
    if form_id in cat.forms and _table_exists(con, form_id):
        form = cat.forms[form_id]
        cases = " ".join(
            f"WHEN '{column.name}' THEN coalesce(CAST(r.{column.name} AS VARCHAR), f.observed)"
            for column in form.fields
            if column.personal
        )
        in_full = f"CASE f.field {cases} ELSE f.observed END" if cases else in_full
        source, row = "r._path", "r._row_number"
        joins = f"""
            LEFT JOIN (
                SELECT rec.*, file.institution_code AS _delivered_by, file.path AS _path
                FROM records.{form_id} rec JOIN ingest.file file ON file.file_id = rec._file_id
            ) r ON f.subject_kind = 'record' AND r.record_id = f.record_id AND r._delivered_by = f.institution_code
        """
        if form.has("person_name") and form.has("archive_no"):
            person = "coalesce(r.person_name, p.person_name)"
            joins += f"""
            LEFT JOIN (
                SELECT archive_no, any_value(person_name) AS person_name FROM records.{form_id}
                WHERE archive_no IS NOT NULL GROUP BY archive_no
            ) p ON p.archive_no = f.archive_no
            """
    return f"""
        SELECT f.severity, f.form_id, f.doctor_name, {person} AS person_name, f.archive_no, f.service_date,
               f.record_id, f.field, {in_full} AS observed, f.expected, f.message, f.suggestion, f.rule_id,
               f.state, f.first_seen, f.root_id, {source} AS source_path, {row} AS row_number
        FROM qc.finding_current f
        {joins}
        WHERE f.institution_code = $1 AND f.form_id = $2
        ORDER BY {SEVERITY_ORDER.replace("severity", "f.severity")}, f.doctor_name, f.archive_no, f.service_date,
                 f.rule_id, f.field
    """


def _table_exists(con: duckdb.DuckDBPyConnection, form_id: str) -> bool:
    found = con.execute(
        "SELECT 1 FROM information_schema.tables WHERE table_schema = 'records' AND table_name = ?", [form_id]
    ).fetchone()
    return found is not None
