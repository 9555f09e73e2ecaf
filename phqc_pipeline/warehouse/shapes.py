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

#: A night's ``rules.parquet``: every rule in force that night, as instantiated.
NIGHT_RULE: dict[str, str] = {
    "rule_id": "VARCHAR",
    "form_id": "VARCHAR",
    "field": "VARCHAR",
    "period_scoped": "BOOLEAN",
}

#: ``state.parquet``: every finding ever opened, after that night.
STATE: dict[str, str] = {
    **NIGHT_FINDING,
    "run_id": "VARCHAR",
    "snapshot_date": "DATE",
    "state": "VARCHAR",
    "first_seen": "DATE",
    "last_seen": "DATE",
    "state_since": "DATE",
    "ever_fixed": "BOOLEAN",
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
