"""Which delivery is in force: parts, replaced and shrunken deliveries, arrival in any order."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from phqc_pipeline.catalogue.model import Settings
from phqc_pipeline.extracts import Books, accept_file
from phqc_pipeline.extracts.books import (
    FILE_SCHEMA,
    FileRecord,
    make_file_id,
    read_records,
    records_path,
    write_records,
)
from phqc_pipeline.home import Home

from .conftest import DAY, INSTITUTION, Landing, catalogue, csv_of, visits, write_registry

NEXT = DAY + timedelta(days=1)


def numbered(start: int, count: int) -> str:
    return csv_of(*((f"V{number}", "2024-05-01", "120") for number in range(start, start + count)))


def test_snapshot_is_carried_forward(landing: Landing) -> None:
    landing.put("visit.csv", visits(3))
    landing.take()
    for day in (DAY, NEXT, DAY + timedelta(days=400)):
        delivery = landing.in_force(day)
        assert (delivery.snapshot_date, delivery.rows, delivery.institution_code) == (DAY, 3, INSTITUTION)
    assert landing.books.in_force(DAY - timedelta(days=1)) == []


def test_parts_are_one_delivery(landing: Landing) -> None:
    landing.put("visit_2024.csv", numbered(0, 3))
    landing.put("visit_2024_2.csv", numbered(3, 4))
    landing.put("visit_2024(3).csv", numbered(7, 5))
    landing.take()
    assert [file.rows for file in landing.in_force().files] == [3, 4, 5]
    assert set(landing.statuses().values()) == {"accepted"}
    assert landing.rows()["record_id"].n_unique() == 12


def test_a_part_that_fails_holds_all_parts_back(landing: Landing) -> None:
    landing.put("visit_1.csv", numbered(0, 3))
    landing.put("visit_2.csv", b"")
    landing.put("visit.xlsx", b"", at=-5)
    landing.take()
    assert landing.books.in_force(DAY) == []
    reasons = {str(row["path"])[-11:]: row["reason"] for row in landing.files() if row["status"] == "quarantined"}
    assert reasons["visit_2.csv"] == "文件是空的，没有任何内容"
    assert reasons["visit_1.csv"] == "同一份交付的 visit_2.csv 无法采用（文件是空的，没有任何内容），整份暂不采用"
    landing.put("visit_2.csv", numbered(3, 4), at=1)
    landing.take()
    assert landing.in_force().rows == 7


def test_a_part_downloaded_twice_counts_once(landing: Landing) -> None:
    landing.put("visit.csv", visits(3))
    landing.put("visit (1).csv", visits(3), at=1)
    landing.take()
    assert landing.in_force().rows == 3
    assert landing.statuses() == {"visit.csv": "accepted", "visit (1).csv": "superseded"}
    assert "内容与 visit.csv 相同" in [row["reason"] for row in landing.files()]


def test_one_part_number_is_one_part(landing: Landing) -> None:
    """Names that differ in letter case, or in how the number is written: the later one is the part."""
    landing.put("visit_1.csv", numbered(0, 3))
    landing.put("VISIT_01.CSV", numbered(0, 5), at=1)
    landing.put("visit_2.csv", numbered(5, 2))
    landing.take()
    assert landing.in_force().rows == 7
    assert landing.statuses()["visit_1.csv"] == "superseded"


def test_the_latest_of_other_files_is_the_delivery(landing: Landing) -> None:
    landing.put("visit_new.csv", numbered(0, 3), at=1)
    landing.put("visit_old.csv", numbered(0, 4), at=0)
    landing.put("随访表.csv", numbered(0, 5), at=2)
    landing.take()
    assert landing.in_force().rows == 5
    assert landing.statuses() == {
        "visit_new.csv": "superseded",
        "visit_old.csv": "superseded",
        "随访表.csv": "accepted",
    }
    assert {row["reason"] for row in landing.files() if row["status"] == "superseded"} == {
        "同一天有更新的文件：随访表.csv"
    }


def test_ties_go_by_name(landing: Landing) -> None:
    for name, count in (("visit_a.csv", 3), ("visit_c.csv", 5), ("visit_b.csv", 4)):
        landing.put(name, numbered(0, count))
    landing.take()
    assert landing.in_force().rows == 5


def test_the_latest_may_be_unreadable(landing: Landing) -> None:
    landing.put("visit_a.csv", numbered(0, 3), at=0)
    landing.put("visit_b.csv", b"", at=1)
    landing.take()
    assert landing.in_force().rows == 3
    assert landing.statuses() == {"visit_a.csv": "accepted", "visit_b.csv": "quarantined"}
    (held,) = landing.books.held_back(DAY)
    assert (held.reason, held.shrunk) == ("文件是空的，没有任何内容", False)


def test_a_path_delivered_anew(landing: Landing) -> None:
    landing.put("visit.csv", numbered(0, 3))
    landing.take()
    landing.put("visit.csv", numbered(0, 4), at=1)
    landing.take()
    assert landing.in_force().rows == 4
    assert sorted((str(row["status"]), row["rows_loaded"], row["reason"]) for row in landing.files())[1] == (
        "superseded",
        3,
        "同名文件已换成新的内容",
    )
    # back to what it was: again the first content, as the newest version
    landing.put("visit.csv", numbered(0, 3), at=2)
    landing.take()
    assert (landing.in_force().rows, len(landing.files())) == (3, 2)


def test_a_path_delivered_anew_in_worse_shape(landing: Landing) -> None:
    """What was good stays in force until something better comes, though its file is gone."""
    landing.put("visit.csv", numbered(0, 100))
    landing.take()
    for content, said in ((b"", "文件是空的"), (visits(10).encode(), "不到上次采用的")):
        landing.put("visit.csv", content, at=1)
        landing.take()
        assert landing.in_force().rows == 100
        (held,) = landing.books.held_back(DAY)
        assert said in held.reason


def test_shrunken_delivery_is_held_back_until_accepted(landing: Landing) -> None:
    landing.put("visit.csv", visits(100))
    landing.put("visit.csv", visits(49), day=NEXT)
    landing.put("visit.csv", visits(50), day=NEXT + timedelta(days=1))
    landing.take()
    books = landing.books
    assert [books.in_force(DAY + timedelta(days=days))[0].rows for days in (0, 1, 2)] == [100, 100, 50]
    (held,) = books.held_back(NEXT)
    assert held.shrunk
    assert held.reason.startswith(f"本次 49 行，不到上次采用的（{DAY}，100 行）的 50%，暂不采用")
    assert f"phqc accept {held.file_ids[0]}" in held.reason
    row = next(row for row in landing.files() if row["snapshot_date"] == NEXT)
    assert (row["status"], row["reason"], row["in_force"]) == ("quarantined", held.reason, False)

    said = accept_file(landing.home, landing.cat, held.file_ids[0])
    assert "已放行" in said
    books = landing.books
    assert [books.in_force(DAY + timedelta(days=days))[0].rows for days in (0, 1, 2)] == [100, 49, 50]
    assert books.held_back(NEXT) == []
    assert "此前已放行" in accept_file(landing.home, landing.cat, held.file_ids[0])


def test_shrinking_is_measured_against_the_last_accepted(landing: Landing) -> None:
    """A held delivery is no yardstick for the next one."""
    for days, count in enumerate((100, 30, 40, 60, 25)):
        landing.put("visit.csv", visits(count), day=DAY + timedelta(days=days))
    landing.take()
    in_force = [landing.books.in_force(DAY + timedelta(days=days))[0].rows for days in range(5)]
    assert in_force == [100, 100, 100, 60, 60]


def test_shrinking_within_a_day(landing: Landing) -> None:
    landing.put("visit_a.csv", visits(100), at=0)
    landing.put("visit_b.csv", visits(10), at=1)
    landing.take()
    assert landing.in_force().rows == 100
    assert landing.statuses() == {"visit_a.csv": "accepted", "visit_b.csv": "quarantined"}
    landing.put("visit_c.csv", visits(90), at=2)
    landing.take()
    assert landing.statuses() == {"visit_a.csv": "superseded", "visit_b.csv": "superseded", "visit_c.csv": "accepted"}


def test_the_ratio_is_a_parameter(landing: Landing) -> None:
    landing.put("visit.csv", visits(100))
    landing.put("visit.csv", visits(20), day=NEXT)
    landing.take()
    assert landing.in_force(NEXT).rows == 100
    landing.cat = replace(landing.cat, settings=Settings(shrink_ratio=0.1))
    assert landing.in_force(NEXT).rows == 20


def test_header_only_after_rows_is_held_back(landing: Landing) -> None:
    landing.put("visit.csv", visits(1))
    landing.put("visit.csv", csv_of(), day=NEXT)
    landing.take()
    assert landing.in_force(NEXT).rows == 1
    assert landing.books.held_back(NEXT)[0].shrunk


def test_accepting_any_part_accepts_the_delivery(landing: Landing) -> None:
    landing.put("visit.csv", visits(100))
    landing.put("visit_1.csv", numbered(0, 5), day=NEXT)
    landing.put("visit_2.csv", numbered(5, 5), day=NEXT)
    landing.take()
    (held,) = landing.books.held_back(NEXT)
    assert len(held.file_ids) == 2
    accept_file(landing.home, landing.cat, held.file_ids[1])
    assert landing.in_force(NEXT).rows == 10


def test_what_cannot_be_accepted(landing: Landing) -> None:
    landing.put("visit.csv", visits(10))
    landing.put("visit_a.csv", visits(9), at=-1)
    landing.put("visit_extra.csv", b"")
    landing.take()
    ids = {str(row["path"]).rsplit("/", 1)[-1]: str(row["file_id"]) for row in landing.files()}
    for file_id, said in (
        ("0123", "没有编号为 0123 的文件"),
        ("../../etc/passwd", "没有编号为"),
        (ids["visit.csv"], "已被采用，无需放行"),
        (ids["visit_a.csv"], "已被取代"),
        (ids["visit_extra.csv"], "不是因行数骤减而暂缓，不能放行：文件是空的"),
    ):
        with pytest.raises(LookupError, match=said):
            accept_file(landing.home, landing.cat, file_id)


def test_forms_and_institutions_do_not_mix(landing: Landing) -> None:
    landing.put("visit.csv", visits(100))
    landing.put("visit_extra.csv", visits(1))
    landing.put("visit.csv", visits(2), institution="654301102")
    landing.take()
    found = [(one.form_id, one.institution_code, one.rows) for one in landing.books.in_force(DAY)]
    assert found == [("visit", "654301101", 100), ("visit", "654301102", 2), ("visit_extra", "654301101", 1)]


def test_files_table(landing: Landing) -> None:
    landing.put("visit.csv", visits(2))
    landing.put("人员.csv", "x", at=1)
    landing.take()
    frame = landing.books.files(DAY)
    assert dict(frame.schema) == dict(FILE_SCHEMA)
    assert frame.filter(pl.col("form_id") == "").select("status", "rows_read").row(0) == ("quarantined", 0)
    accepted = frame.row(by_predicate=pl.col("status") == "accepted", named=True)
    assert accepted["mtime"].isoformat() == "2025-01-01T20:00:00"  # Shanghai
    assert (accepted["encoding"], accepted["format"], accepted["in_force"]) == ("utf-8", "csv", True)
    assert landing.books.files(DAY - timedelta(days=1)).height == 0
    assert [held.reason[:8] for held in landing.books.held_back(DAY)] == ["认不出是哪张表："]


def test_fingerprint_of_a_delivery_follows_its_content(landing: Landing) -> None:
    landing.put("visit.csv", visits(3))
    landing.take()
    one = landing.in_force().fingerprint
    assert landing.in_force(NEXT).fingerprint == one
    landing.put("visit.csv", visits(3, sbp="121"), at=1)
    landing.take()
    assert landing.in_force().fingerprint != one


def test_records_survive_their_file(tmp_path: Path) -> None:
    home = Home(tmp_path)
    record = FileRecord(
        file_id=make_file_id("a", "b", DAY, "c"),
        sha256="a",
        institution_code="b",
        snapshot_date=DAY,
        form_id="visit",
        path="landing/b/x\n\"'.csv",
        format="csv",
        columns=("sbp",),
        loaded=True,
    )
    write_records(home, "b", DAY, [record])
    assert read_records(records_path(home, "b", DAY)) == [record]
    assert read_records(records_path(home, "b", NEXT)) == []
    # a record written by a later version, with a fact this one does not know
    path = records_path(home, "b", DAY)
    path.write_text(path.read_text().replace('"sha256"', '"novelty": 1, "sha256"'))
    assert read_records(path) == [record]


FILES = st.tuples(
    st.integers(0, 3),  # day
    st.sampled_from(["visit.csv", "visit_1.csv", "visit_2.csv", "visit_x.csv"]),
    st.integers(0, 3),  # minute of modification
    st.sampled_from([0, 1, 3, 4, 8, -1]),  # rows; -1: an empty file
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    deliveries=st.lists(FILES, min_size=1, max_size=7, unique_by=lambda file: file[:2]),
    order=st.randoms(use_true_random=False),
    stops=st.sets(st.integers(0, 6)),
)
def test_order_of_arrival_does_not_matter(
    tmp_path_factory: pytest.TempPathFactory,
    deliveries: list[tuple[int, str, int, int]],
    order: object,
    stops: set[int],
) -> None:
    """The same files, all at once or in any order with runs between: the same deliveries are in force on every day."""
    shuffled = list(deliveries)
    order.shuffle(shuffled)  # type: ignore[attr-defined]
    seen = []
    for files, runs in ((deliveries, set[int]()), (shuffled, stops)):
        home = Home(tmp_path_factory.mktemp("home"))
        write_registry(home)
        landing = Landing(home, catalogue())
        for place, (day, name, minute, rows) in enumerate(files):
            content = b"" if rows < 0 else numbered(hash(name) % 100, rows).encode()
            landing.put(name, content, day=DAY + timedelta(days=day), at=minute)
            if place in runs:
                landing.take()
        landing.take()
        books = Books(home, landing.cat)
        seen.append(
            (
                [
                    [(one.snapshot_date, one.fingerprint, [file.file_id for file in one.files]) for one in in_force]
                    for in_force in (books.in_force(DAY + timedelta(days=days)) for days in range(5))
                ],
                books.files(date(2030, 1, 1)).to_dicts(),
                [held.reason for held in books.held_back(date(2030, 1, 1))],
            )
        )
    assert seen[0] == seen[1]
