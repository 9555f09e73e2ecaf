"""The columns of what a night leaves on disk, with DuckDB types. One description; every reader and writer uses it.

Belongs here: names and types. Does not belong here: how they are computed.
"""

from __future__ import annotations

#: What both carriers write for a violation (checks/ and the cross models).
JUDGED_FINDING: dict[str, str] = {
    "institution_code": "VARCHAR",
    "form_id": "VARCHAR",
    "rule_id": "VARCHAR",
    "rule_version": "INTEGER",
    "rule_fingerprint": "VARCHAR",
    "field": "VARCHAR",
    "subject_kind": "VARCHAR",
    "subject_id": "VARCHAR",
    "record_id": "VARCHAR",
    "archive_no": "VARCHAR",
    "doctor_name": "VARCHAR",
    "service_date": "DATE",
    "period": "VARCHAR",
    "dimension": "VARCHAR",
    "severity": "VARCHAR",
    "observed": "VARCHAR",
    "expected": "VARCHAR",
    "message": "VARCHAR",
    "suggestion": "VARCHAR",
    "root_item": "VARCHAR",
}

#: A figure of a report, and the row it stands in.
REPORTED_FIGURE: dict[str, str] = {
    "institution_code": "VARCHAR",
    "year": "INTEGER",
    "period": "VARCHAR",
    "item": "VARCHAR",
    "value": "DOUBLE",
    "raw": "VARCHAR",
    "row_number": "BIGINT",
}

#: A night's ``findings.parquet``: each violation with its names.
NIGHT_FINDING: dict[str, str] = {"finding_id": "VARCHAR", "root_id": "VARCHAR", **JUDGED_FINDING}

#: What both carriers write for a rule: one row an institution, form, rule and field.
JUDGED_RESULT: dict[str, str] = {
    "institution_code": "VARCHAR",
    "form_id": "VARCHAR",
    "rule_id": "VARCHAR",
    "field": "VARCHAR",
    "status": "VARCHAR",
    "checked": "BIGINT",
    "applicable": "BIGINT",
    "violated": "BIGINT",
    "reason": "VARCHAR",
}

#: A night's ``results.parquet``. ``judged``: whether this night may change the findings of the row.
NIGHT_RESULT: dict[str, str] = {**JUDGED_RESULT, "judged": "BOOLEAN"}

#: A night's ``present.parquet``: the subjects that took part.
PRESENT: dict[str, str] = {
    "institution_code": "VARCHAR",
    "form_id": "VARCHAR",
    "subject_kind": "VARCHAR",
    "subject_id": "VARCHAR",
}

#: The kind under which ``present.parquet`` has a period that a subject's rules speak of by themselves (a report's).
PERIOD_SUBJECT = "period"


def period_subject_sql(subject: str, period: str) -> str:
    """The id of such a period of a subject's, as SQL over two of its columns."""
    return f"concat({subject}, ' ', {period})"


#: A night's ``rules.parquet``: every rule in force that night, as instantiated.
NIGHT_RULE: dict[str, str] = {
    "rule_id": "VARCHAR",
    "form_id": "VARCHAR",
    "field": "VARCHAR",
    "period_scoped": "BOOLEAN",
    "rule_fingerprint": "VARCHAR",
}

#: A night's ``institutions.parquet``: whom the plan was to judge. ``reason``: why it did not.
NIGHT_INSTITUTION: dict[str, str] = {
    "institution_code": "VARCHAR",
    "judged": "BOOLEAN",
    "reason": "VARCHAR",
    "forms": "BIGINT",
    "records": "BIGINT",
}

#: ``state.parquet``: every finding ever opened, after that night. ``plan_id``: whose night found it last; ``plans``:
#: all that ever did. ``judged_state``: the state but for waivers; ``state``: with them. ``state_before``, ``cause``:
#: what the night moved, and why.
STATE: dict[str, str] = {
    **NIGHT_FINDING,
    "run_id": "VARCHAR",
    "snapshot_date": "DATE",
    "plan_id": "VARCHAR",
    "plans": "VARCHAR[]",
    "judged_state": "VARCHAR",
    "state": "VARCHAR",
    "state_before": "VARCHAR",
    "cause": "VARCHAR",
    "first_seen": "DATE",
    "last_seen": "DATE",
    "state_since": "DATE",
    "ever_fixed": "BOOLEAN",
}

#: ``changes.parquet``: what one night moved.
CHANGE: dict[str, str] = {
    "finding_id": "VARCHAR",
    "from_state": "VARCHAR",
    "to_state": "VARCHAR",
    "cause": "VARCHAR",
}


#: ``ingest.file`` and ``ingest.rejected_row`` (contract, section 3).
FILE: dict[str, str] = {
    "file_id": "VARCHAR",
    "sha256": "VARCHAR",
    "institution_code": "VARCHAR",
    "snapshot_date": "DATE",
    "form_id": "VARCHAR",
    "path": "VARCHAR",
    "format": "VARCHAR",
    "encoding": "VARCHAR",
    "status": "VARCHAR",
    "reason": "VARCHAR",
    "rows_read": "BIGINT",
    "rows_loaded": "BIGINT",
    "rows_rejected": "BIGINT",
}
REJECTED_ROW: dict[str, str] = {
    "file_id": "VARCHAR",
    "row_number": "BIGINT",
    "reason": "VARCHAR",
    "raw": "VARCHAR",
}

#: Answers read back from workbooks (``extracts.answers``): what an institution says to a finding. ``rule_id``,
#: ``record_id``: what the answered row shows of the finding, NULL where the sheet has no such column.
ANSWER: dict[str, str] = {
    "file_id": "VARCHAR",
    "institution_code": "VARCHAR",
    "snapshot_date": "DATE",
    "sheet": "VARCHAR",
    "row_number": "BIGINT",
    "finding_id": "VARCHAR",
    "answer": "VARCHAR",
    "explanation": "VARCHAR",
    "rule_id": "VARCHAR",
    "record_id": "VARCHAR",
}

HEADER_PROPOSAL: dict[str, str] = {
    "file_id": "VARCHAR",
    "institution_code": "VARCHAR",
    "form_id": "VARCHAR",
    "header": "VARCHAR",
    "proposed_field": "VARCHAR",
    "proposed_title": "VARCHAR",
    "similarity": "DOUBLE",
    "comment": "VARCHAR",
}

#: Rows of the registry that cannot be used, and what else is to be looked at in it.
REGISTRY_PROBLEM: dict[str, str] = {
    "file": "VARCHAR",
    "row_number": "BIGINT",
    "column_name": "VARCHAR",
    "value": "VARCHAR",
    "reason": "VARCHAR",
    "remedy": "VARCHAR",
    "is_left_out": "BOOLEAN",
}

#: ``registry/waiver.csv`` (contract, section 2).
WAIVER: dict[str, str] = {
    "rule_id": "VARCHAR",
    "institution_code": "VARCHAR",
    "subject_id": "VARCHAR",
    "field": "VARCHAR",
    "reason": "VARCHAR",
    "approved_by": "VARCHAR",
    "from_date": "DATE",
    "until_date": "DATE",
}
