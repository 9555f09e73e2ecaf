"""Parquet as delivered, of whatever column types."""

# ruff: noqa: DTZ001 (the lake holds local times without a zone)

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from phqc_pipeline.extracts.header import form_headers
from phqc_pipeline.extracts.read_parquet import open_parquet
from phqc_pipeline.extracts.shapes import UnreadableError

from .conftest import FORM, Landing

KNOWN = form_headers(FORM)


def test_typed_columns(landing: Landing) -> None:
    frame = pl.DataFrame(
        {
            "记录编号": [1, 2, 3],
            "身份证号": ["654301195003041237", None, ""],
            "随访日期": [date(2024, 1, 31), None, date(2024, 2, 1)],
            "录入时间": pl.Series([datetime(2024, 1, 31, 16), None, None]).dt.replace_time_zone("UTC"),
            "收缩压": [120.0, None, 120.5],
            "体重": pl.Series([65.2, 70.0, 1.0], dtype=pl.Float32),
            "症状": [["1"], ["2", "10"], None],
            "性别": pl.Series(["男", "女", "1"], dtype=pl.Categorical),
            "别的": [True, None, False],
        }
    )
    frame.write_parquet(landing.folder() / "visit.parquet")
    landing.take()
    lake = landing.rows()
    assert lake["_row_number"].to_list() == [1, 2, 3]
    assert lake["record_id"].to_list() == ["1", "2", "3"]
    assert lake["id_card_no"].to_list() == ["654301195003041237", None, None]
    assert lake["visit_date"].to_list() == [date(2024, 1, 31), None, date(2024, 2, 1)]
    assert lake["created_at"].to_list() == [datetime(2024, 2, 1), None, None]
    assert lake["sbp"].to_list() == [120, None, 120.5]
    assert lake["weight_kg"].to_list() == [65.2, 70, 1]
    assert lake["symptom_codes"].to_list() == [["1"], ["2", "10"], None]
    assert lake["sex_code"].to_list() == ["1", "2", "1"]
    assert lake["_extra"].to_list() == ['{"别的":"TRUE"}', None, '{"别的":"FALSE"}']


def test_serials_are_no_dates_here(landing: Landing) -> None:
    pl.DataFrame({"记录编号": ["1"], "随访日期": [45322]}).write_parquet(landing.folder() / "visit.parquet")
    landing.take()
    assert landing.rows().select("visit_date", "visit_date__raw").row(0) == (None, "45322")


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    """Old writers leave text columns as bytes; what is no UTF-8 costs its row."""
    column = pa.array(["好".encode(), b"\xff\xfe", None], pa.binary())
    # a text column whose bytes were never checked
    unchecked = pa.StringArray.from_buffers(
        3, pa.py_buffer(b"\0\0\0\0\1\0\0\0\2\0\0\0\3\0\0\0"), pa.py_buffer(b"ab\xff")
    )
    path = tmp_path / "visit.parquet"
    pq.write_table(pa.table({"记录编号": column, "姓名": unchecked}), path)
    (batch,) = [piece() for piece in open_parquet(path, KNOWN).pieces]
    assert batch.cells.rows() == [(1, "好", "a")]
    assert [(row.row_number, row.raw) for row in batch.rejected] == [(2, "\\xff\\xfe,b"), (3, ",\\xff")]


def test_blank_rows_and_nul(tmp_path: Path) -> None:
    path = tmp_path / "visit.parquet"
    pl.DataFrame({"记录编号": ["1", None, ""], "姓名": ["a\x00b", None, None]}).write_parquet(path)
    (batch,) = [piece() for piece in open_parquet(path, KNOWN).pieces]
    assert (batch.cells.rows(), batch.blank, batch.span) == ([(1, "1", "a\ufffdb")], 2, 3)


def test_no_such_file(tmp_path: Path) -> None:
    path = tmp_path / "visit.parquet"
    pl.DataFrame({"记录编号": ["1"] * 1000, "姓名": ["a"] * 1000}).write_parquet(path)
    whole = path.read_bytes()
    for content, said in (
        (b"", "文件是空的"),
        (b"a,b,c\n", "内容却不是 Parquet"),
        (whole[:-1], "不完整"),
        (whole[: len(whole) // 2], "不完整"),
        (whole[:4] + b"\x00" * (len(whole) - 8) + whole[-4:], "已损坏"),
        (whole[:-4] + b"PARE", "已加密"),
        (b"PAR1", "不完整"),
    ):
        path.write_bytes(content)
        with pytest.raises(UnreadableError, match=said):
            open_parquet(path, KNOWN)
    path.write_bytes(whole)
    damaged = bytearray(whole)
    damaged[4:60] = b"\xff" * 56  # pages, with the footer whole
    path.write_bytes(damaged)
    with pytest.raises(UnreadableError, match="读不出"):
        [piece() for piece in open_parquet(path, KNOWN).pieces]


def test_no_known_columns(tmp_path: Path) -> None:
    path = tmp_path / "visit.parquet"
    pl.DataFrame({"a": ["1"], "记录编号": ["2"]}).write_parquet(path)
    with pytest.raises(UnreadableError, match="列名里认识的不到 2 个"):
        open_parquet(path, KNOWN)
    pl.DataFrame({f"c{place}": [1] for place in range(2500)}).write_parquet(path)
    with pytest.raises(UnreadableError, match="有 2500 列，超过上限"):
        open_parquet(path, KNOWN)
