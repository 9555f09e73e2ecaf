"""How long an institution's workbook takes, from a published warehouse to the file: run with ``--write`` for README.md.

    python -m benchmarks.workbook [--findings 50000] [--doctors 30] [--write]

The warehouse is made up: follow-up records, each finding on a record of its own, a tenth of them one identity number's.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from pathlib import Path

import duckdb

from benchmarks.tables import write_table
from phqc_pipeline.catalogue import Catalogue, load_catalogue
from phqc_pipeline.home import resolve_rules
from phqc_pipeline.reports.lines import read_lines
from phqc_pipeline.reports.workbook import write_workbooks
from tests.reports.lines import no_facts

INSTITUTION = "654301104901"


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--findings", type=int, default=50_000)
    asked.add_argument("--doctors", type=int, default=30)
    asked.add_argument("--write", action="store_true")
    given = asked.parse_args()
    rows = [measure(count, given.doctors) for count in (given.findings // 5, given.findings, given.findings * 2)]
    header = ("问题", "行", "文件", "MB", "秒", "处理器秒", "峰值内存 MB")
    about = f"整改清单：从发布的数据仓库读出、写成工作簿；{given.doctors} 位医生"
    print(write_table("workbook", header, rows, about, given.write))


def measure(findings: int, doctors: int) -> list[str]:
    cat = load_catalogue(resolve_rules())
    with tempfile.TemporaryDirectory() as folder:
        with duckdb.connect() as con:
            _fill(con, cat, findings, doctors)
            wall, cpu = time.perf_counter(), time.process_time()
            lines = read_lines(con, cat, INSTITUTION)
            books = [name for name, _ in write_workbooks(Path(folder), lines, no_facts())]
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        size = sum(path.stat().st_size for path in Path(folder).iterdir()) / 1e6
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return [f"{findings:,}", f"{lines.height:,}", str(len(books)), f"{size:.1f}", f"{wall:.1f}", f"{cpu:.1f}",
            f"{peak:,.0f}"]  # fmt: skip


def _fill(con: duckdb.DuckDBPyConnection, cat: Catalogue, findings: int, doctors: int) -> None:
    kinds = {"text": "VARCHAR", "code": "VARCHAR", "int": "DOUBLE", "dec": "DOUBLE", "date": "DATE", "ym": "DATE",
             "dt": "TIMESTAMP", "multi": "VARCHAR[]"}  # fmt: skip
    form = cat.forms["htn_followup"]
    told = {
        "record_id": "format('GX{:012d}', i)",
        "archive_no": "format('654301104{:08d}', i // 6)",
        "person_name": "format('居民{}', i // 6)",
        "id_card_no": "format('65430119600101{:04d}', i // 6 % 9999)",
        "visit_date": "(DATE '2024-01-01' + (i % 360)::INT)",
        "doctor_name": f"format('医生{{}}', i % {doctors})",
    }
    columns = ", ".join(
        f"({told.get(column.name, 'NULL')})::{kinds[column.kind]} AS {column.name}" for column in form.fields
    )
    con.execute("CREATE SCHEMA qc; CREATE SCHEMA records; CREATE SCHEMA ingest")
    con.execute("CREATE TABLE ingest.file AS SELECT 'f' AS file_id, 'landing/x/2024-12-31/htn_followup.csv' AS path")
    con.execute(
        f"CREATE TABLE records.htn_followup AS SELECT {columns}, '{INSTITUTION}' AS _institution_code, "
        f"format('GX{{:012d}}', i) AS _record_key, 'f' AS _file_id, i + 2 AS _row_number FROM range({findings}) t(i)"
    )
    con.execute(f"""
        CREATE TABLE qc.finding_current AS
        SELECT md5(i::VARCHAR) AS finding_id,
               CASE WHEN i % 10 = 0 THEN md5('root' || i // 60) ELSE md5(i::VARCHAR) END AS root_id,
               CASE i % 3 WHEN 0 THEN '严重' WHEN 1 THEN '一般' ELSE '提示' END AS severity,
               'htn_followup' AS form_id, 'record' AS subject_kind, doctor_name, archive_no, visit_date AS service_date,
               record_id, _record_key AS subject_id, '{INSTITUTION}' AS institution_code,
               CASE WHEN i % 10 = 0 THEN 'id_card_no' ELSE 'class_code' END AS field,
               '1 控制满意' AS observed, '2 控制不满意' AS expected, '控制不满意' AS suggestion,
               CASE WHEN i % 10 = 0 THEN 'COM-F-005' ELSE 'HTN-L-001' END AS rule_id, 'open' AS state,
               DATE '2024-12-01' AS first_seen,
               format('血压 {{}}/95 未达标，分类不应为“控制满意”，请核对，两周内再次随访。', 140 + i % 60) AS message
        FROM (SELECT *, _row_number - 2 AS i FROM records.htn_followup)""")


if __name__ == "__main__":
    main()
