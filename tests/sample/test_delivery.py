"""Files say what the frames say, however they are written."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from phqc_pipeline.catalogue import Catalogue
from phqc_pipeline.extracts import Books, read_registry, take_in
from phqc_pipeline.home import Home
from phqc_pipeline.sample.delivery import _STYLES, Style, _decimal, deliver
from phqc_pipeline.sample.registry import write_registry
from tests.sample.conftest import Clean
from tests.sample.test_faults import SNAPSHOT


@pytest.mark.parametrize("style", _STYLES, ids=range(len(_STYLES)))
@pytest.mark.parametrize("form_id", ["htn_followup", "health_exam", "supervision_report"])
def test_a_file_is_read_back_as_it_was(
    clean: Clean, cat: Catalogue, tmp_path: Path, style: Style, form_id: str
) -> None:
    work = clean(900, 12, SNAPSHOT)
    form, home = cat.forms[form_id], Home(tmp_path)
    rows = work.frames[form_id].head(60)
    write_registry(home.registry, [work.institution], {work.institution.code: 1}, work.times)
    folder = home.landing / work.institution.code / SNAPSHOT.isoformat()
    deliver(folder, form, rows, {}, style, cat, work.institution, SNAPSHOT)
    take_in(home, cat, read_registry(home), SNAPSHOT, log=lambda message: None)
    delivery = Books(home, cat).in_force(SNAPSHOT)[0]
    lake = pl.concat([pl.read_parquet(file.path) for file in delivery.files])
    names = [field.name for field in form.fields if field.name not in style.dropped]
    assert_frame_equal(lake.select(names), rows.select(names))
    irregular = [field.name for field in form.fields if lake[f"{field.name}__raw"].null_count() < lake.height]
    assert irregular == []


def test_decimals_are_written_exactly() -> None:
    assert _decimal(pl.Series([1.0, 0.05, -2.5, None, 87.123456]), 2).to_list() == [
        "1.00",
        "0.05",
        "-2.50",
        None,
        "87.12",
    ]
    assert _decimal(pl.Series([65.5, 100.0]), 1).to_list() == ["65.5", "100.0"]
    assert _decimal(pl.Series([128.0]), 0).to_list() == ["128"]


@pytest.mark.parametrize("container", ["csv.gz", "xlsx", "parquet"])
def test_bytes_do_not_depend_on_the_clock(
    clean: Clean, cat: Catalogue, tmp_path: Path, container: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = clean(900, 12, SNAPSHOT)
    rows = work.frames["chronic_registry"].head(40)
    style = replace(Style(container), file_title=False)
    written = []
    for name, offset in (("one", 0.0), ("two", 40_000_000.0)):
        import time

        now = time.time
        monkeypatch.setattr(time, "time", lambda now=now, offset=offset: now() + offset)
        paths = deliver(
            tmp_path / name, cat.forms["chronic_registry"], rows, {}, style, cat, work.institution, SNAPSHOT
        )
        written.append([path.read_bytes() for path in paths])
        monkeypatch.undo()
    assert written[0] == written[1]
