"""Files damaged at random, of every format: each is taken or quarantined, and no run ends because of one."""

from __future__ import annotations

import gzip
import io

import polars as pl
import pytest
import xlsxwriter
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from phqc_pipeline.home import Home

from .conftest import FIXTURES, Landing, visits, write_registry


def workbook() -> bytes:
    stream = io.BytesIO()
    with xlsxwriter.Workbook(stream, {"in_memory": True}) as book:
        sheet = book.add_worksheet()
        for number, line in enumerate(visits(40).split("\r\n")):
            sheet.write_row(number, 0, line.split(","))
        sheet.write_formula(45, 1, "=1/0", None, "#DIV/0!")
    return stream.getvalue()


def parquet() -> bytes:
    stream = io.BytesIO()
    pl.DataFrame({"记录编号": [str(number) for number in range(50)], "收缩压": list(range(50))}).write_parquet(stream)
    return stream.getvalue()


WHOLE = {
    ".csv": visits(60).encode("gb18030"),
    ".csv.gz": gzip.compress(visits(60).encode(), mtime=0),
    ".xlsx": workbook(),
    ".xls": (FIXTURES / "htn_followup.xls").read_bytes(),
    ".parquet": parquet(),
}


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    places=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.binary(min_size=1, max_size=8)), max_size=6),
    kept=st.floats(0, 1),
)
@pytest.mark.parametrize("ending", sorted(WHOLE))
def test_damage_costs_the_file_at_most(
    tmp_path_factory: pytest.TempPathFactory, ending: str, places: list[tuple[float, bytes]], kept: float
) -> None:
    content = bytearray(WHOLE[ending])
    for place, written in places:
        start = int(place * len(content))
        content[start : start + len(written)] = written
    if kept < 0.5:  # in half of the cases cut as well
        content = content[: int(2 * kept * len(content))]
    home = Home(tmp_path_factory.mktemp("home"))
    write_registry(home)
    landing = Landing(home)
    landing.put(f"visit{ending}", bytes(content))
    (record,) = landing.take().taken
    assert record.loaded or record.reason
    assert record.rows_read == record.rows_loaded + record.rows_rejected
    assert "意外错误" not in record.reason, record.reason
    if record.loaded:
        assert landing.rows().height == record.rows_loaded
