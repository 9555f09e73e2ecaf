"""What analysts open: the contract's tables, in Chinese, in a file older clients read, replaced whole."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import duckdb
import polars as pl
import pytest

from phqc_pipeline.warehouse import MartError, publish
from phqc_pipeline.warehouse import publish as publish_function
from phqc_pipeline.warehouse.publishing import SCHEMAS

from .conftest import HERE, NIGHT, Small, book_of

#: The contract, section 3: nothing of this may be renamed or dropped.
CONTRACT = {
    "qc.run": "run_id, plan_id, scheme_id, snapshot_date, started_at, finished_at, status, catalogue_fingerprint, "
    "records_checked, findings",
    "qc.rule": "rule_id, version, title, form_id, dimension, severity, grain, carrier, expression, message, basis, "
    "verified, valid_from, valid_to, fingerprint",
    "qc.rule_result": "run_id, snapshot_date, institution_code, form_id, rule_id, field, status, checked, applicable, "
    "violated, reason",
    "qc.finding": "finding_id, root_id, run_id, snapshot_date, period, institution_code, form_id, subject_kind, "
    "subject_id, record_id, archive_no, doctor_name, service_date, rule_id, rule_version, field, dimension, severity, "
    "observed, expected, message, suggestion, state, first_seen, last_seen",
    "qc.finding_current": "finding_id, root_id, run_id, snapshot_date, period, institution_code, form_id, "
    "subject_kind, subject_id, record_id, archive_no, doctor_name, service_date, rule_id, rule_version, field, "
    "dimension, severity, observed, expected, message, suggestion, state, first_seen, last_seen",
    "ingest.file": "file_id, sha256, institution_code, snapshot_date, form_id, path, format, encoding, status, reason, "
    "rows_read, rows_loaded, rows_rejected",
    "ingest.rejected_row": "file_id, row_number, reason, raw",
    "ingest.registry_problem": "file, row_number, column_name, value, reason, remedy, is_left_out",
    "ingest.header_proposal": "file_id, institution_code, form_id, header, proposed_field, proposed_title, similarity, "
    "comment",
    "report.value": "institution_code, report_id, year, period, item, value, file_id",
    "report.reconciliation": "institution_code, report_id, year, period, item, reported, recomputed, difference, "
    "tolerance, status",
    "indicator.value": "institution_code, indicator_id, year, period, numerator, denominator, value, reported",
    "billing.charge": "order_no, institution_code, basis_report, basis_year, basis_item, quantity, unit_price, "
    "amount_exact, amount, amount_words, due_on, quantity_from_records, quantity_difference, evidence_file_id",
}


@pytest.fixture
def published(small: Small) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(str(small.home.published_db), read_only=True) as connection:
        yield connection


def test_the_contracts_tables_and_columns_are_there(published: duckdb.DuckDBPyConnection, small: Small) -> None:
    found: dict[str, set[str]] = {}
    for schema, table, column in published.execute(
        "SELECT schema_name, table_name, column_name FROM duckdb_columns() WHERE NOT internal"
    ).fetchall():
        found.setdefault(f"{schema}.{table}", set()).add(column)
    for table, columns in CONTRACT.items():
        assert set(columns.split(", ")) <= found[table], table
    for form in small.cat.forms.values():
        columns_of_form = {column.name for column in form.fields} | {"station_code", "_file_id", "_row_number"}
        assert columns_of_form <= found[f"records.{form.form_id}"]


def test_only_the_contracts_schemas_are_published(published: duckdb.DuckDBPyConnection) -> None:
    schemas = published.execute("SELECT DISTINCT schema_name FROM duckdb_tables()").fetchall()
    assert {schema for (schema,) in schemas} == set(SCHEMAS)
    assert published.execute("SELECT count(*) FROM duckdb_views() WHERE NOT internal").fetchone() == (0,)


def test_every_table_and_column_has_a_chinese_comment(published: duckdb.DuckDBPyConnection) -> None:
    bare = published.execute(
        """
        SELECT schema_name || '.' || table_name AS bare FROM duckdb_tables()
        WHERE NOT regexp_matches(coalesce(comment, ''), '[\\x{4e00}-\\x{9fff}]')
        UNION ALL
        SELECT concat_ws('.', schema_name, table_name, column_name) FROM duckdb_columns()
        WHERE NOT internal AND NOT regexp_matches(coalesce(comment, ''), '[\\x{4e00}-\\x{9fff}]')
        """
    ).fetchall()
    assert bare == []


def test_the_file_is_in_the_storage_format_of_duckdb_1_0(small: Small) -> None:
    with small.home.published_db.open("rb") as stream:
        header = stream.read(20)
    assert header[8:12] == b"DUCK"
    assert struct.unpack("<Q", header[12:20]) == (64,)  # 64: written by and for 1.0; 1.4 reads it


def test_findings_of_both_carriers_meet(published: duckdb.DuckDBPyConnection) -> None:
    found = dict(
        published.execute(
            "SELECT rule_id, state FROM qc.finding WHERE rule_id IN ('HTN-L-001', 'HTN-T-001', 'UNI-U-001')"
        ).fetchall()
    )
    assert found == {"HTN-L-001": "open", "HTN-T-001": "waived", "UNI-U-001": "open"}
    assert published.execute("SELECT DISTINCT snapshot_date FROM qc.finding_current").fetchall() == [(NIGHT,)]


def test_marts_add_up(published: duckdb.DuckDBPyConnection) -> None:
    judged = published.execute("SELECT records_checked FROM qc.run").fetchone()
    for mart in ("institution", "doctor", "form", "month"):
        assert published.execute(f"SELECT sum(records) FROM mart.{mart}_quality").fetchone() == judged, mart
    still_open = published.execute("SELECT count(*) FROM qc.finding_current WHERE state <> 'waived'").fetchone()
    assert published.execute("SELECT sum(findings) FROM mart.institution_quality").fetchone() == still_open
    assert published.execute("SELECT max(records_failed > records) FROM mart.record_quality").fetchone() == (False,)
    filled = published.execute(
        "SELECT records, filled, empty, unusable, min_value FROM mart.field_profile "
        "WHERE institution_code = ? AND form_id = 'htn_followup' AND field = 'sbp'",
        [HERE],
    ).fetchone()
    assert filled == (2, 2, 0, 0, "165")


def test_reconciliation_and_indicators(published: duckdb.DuckDBPyConnection) -> None:
    rows = published.execute("SELECT item, reported, recomputed, status FROM report.reconciliation ORDER BY item")
    assert rows.fetchall() == [
        ("ehr_archive", 2.0, 1.0, "差异"),  # three archives on one identity number: one person, at one institution
        ("ehr_electronic", 2.0, 1.0, "差异"),
        ("ehr_pop", 4.0, None, "不可比"),
    ]
    value = published.execute("SELECT value, reported FROM indicator.value WHERE indicator_id = 'I-02'").fetchone()
    assert [float(figure) for figure in value or ()] == [25.0, 50.0]


def test_personal_data_stand_in_records_alone(published: duckdb.DuckDBPyConnection) -> None:
    personal = ("赵某某", "王某某", "钱某某", "11010519491231002X", "13912345678", "某乡某村一组七号")
    texts = published.execute(
        "SELECT schema_name, table_name, column_name FROM duckdb_columns() "
        "WHERE data_type = 'VARCHAR' AND schema_name NOT IN ('records', 'ingest')"
    ).fetchall()
    for schema, table, column in texts:
        held = published.execute(f'SELECT DISTINCT "{column}" FROM {schema}.{table}').fetchall()
        told = " ".join(str(value) for (value,) in held)
        assert not any(value in told for value in personal), f"{schema}.{table}.{column}"


def test_a_reader_opened_before_keeps_reading(small: Small) -> None:
    with duckdb.connect(str(small.home.published_db), read_only=True) as reader:
        before = reader.execute("SELECT count(*) FROM qc.rule").fetchone()
        inode = small.home.published_db.stat().st_ino
        publish_function(small.home)
        assert small.home.published_db.stat().st_ino != inode
        assert reader.execute("SELECT count(*) FROM qc.rule").fetchone() == before


def test_a_publication_that_fails_leaves_the_old_file(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    before = small.home.published_db.read_bytes()

    def refuse(*_: object) -> dict[str, int]:
        raise RuntimeError("broken off")

    monkeypatch.setattr("phqc_pipeline.warehouse.publishing._check", refuse)
    with pytest.raises(RuntimeError, match="broken off"):
        publish(small.home)
    assert small.home.published_db.read_bytes() == before
    assert [path.name for path in small.home.published.iterdir()] == ["phqc.duckdb"]


def test_what_a_killed_publication_left_does_not_matter(small: Small) -> None:
    aside = small.home.published / ".aside-phqc.duckdb"
    aside.write_bytes(b"half a file")
    aside.with_name(aside.name + ".wal").write_bytes(b"half a log")
    publish(small.home)
    assert [path.name for path in small.home.published.iterdir()] == ["phqc.duckdb"]


def test_rows_that_do_not_add_up_stop_the_night(small: Small) -> None:
    before = small.home.published_db.read_bytes()
    small.files = book_of(small.deliveries).with_columns(rows_read=pl.col("rows_read") + 1)
    try:
        with pytest.raises(MartError, match="rows_add_up"):
            small.build()
    finally:
        small.files = None
    assert small.home.published_db.read_bytes() == before


def test_the_same_night_twice_tells_the_same(small: Small) -> None:
    def content() -> dict[str, pl.DataFrame]:
        night = small.home.night(NIGHT, "nightly")
        names = ("findings", "results", "present", "rules")
        frames = {name: pl.read_parquet(night / f"{name}.parquet") for name in names}
        return {name: frame.sort(frame.columns) for name, frame in frames.items()}

    told = small.home.night(NIGHT, "nightly") / "night.json"
    first, before = content(), told.read_text(encoding="utf-8")
    small.judge()
    second = content()
    assert [name for name in first if not first[name].equals(second[name])] == []
    assert told.read_text(encoding="utf-8") == before
