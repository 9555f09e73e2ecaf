"""A vendor's own headers, codes and dates, and what an unknown header was probably meant to be."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path

import polars as pl
import pytest

from phqc_pipeline.catalogue import load_catalogue
from phqc_pipeline.catalogue.delivered import SourceMap, source_of
from phqc_pipeline.extracts.cells import converter
from phqc_pipeline.extracts.header import form_headers
from phqc_pipeline.extracts.proposals import PROPOSAL_SCHEMA
from phqc_pipeline.home import DEFAULT_RULES, Home

from .conftest import CODES, DAY, FORM, Landing, csv_of, write_registry

CAT = load_catalogue(DEFAULT_RULES)
THEIRS, OURS = "659099001", "654301101"


def landing(root: Path) -> Landing:
    home = Home(root)
    write_registry(home)
    return Landing(home, CAT)


def test_a_file_with_foreign_headers_and_codes_alone(tmp_path: Path) -> None:
    """The example map that is shipped: headers, codes that mean another thing here, codes for nothing, dates."""
    header = ("JLBH", "XM", "XB", "SFRQ", "SFFS", "XYH", "TZ", "YWBLFY", "JLZT", "LRSJ", "责任医生", "ZZ", "QT")
    rows = (
        ("S1", "甲", "0", "31/01/2024", "20", "130", "999", "0", "01", "05-02-2024 08:30", "王医", "2、10", "x"),
        ("S2", "乙", "1", "2024-02-01", "门诊", "140", "70.5", "1", "03", "2024-02-02 09:00", "李医", "无", ""),
        ("S3", "丙", "9", "2024-02-01", "40", "13O", "70", "2", "1", "", "", "", ""),
    )
    place = landing(tmp_path)
    place.put("htn_followup.csv", csv_of(*rows, header=header), institution=THEIRS)
    place.take()
    found = place.rows()
    names = ["record_id", "sex_code", "visit_date", "visit_mode_code", "sbp", "weight_kg", "adr_code", "record_status"]
    assert found.select(names).rows() == [
        ("S1", "1", date(2024, 1, 31), "2", 130, None, "1", "1"),
        ("S2", "2", date(2024, 2, 1), "1", 140, 70.5, "2", "3"),
        ("S3", None, date(2024, 2, 1), None, 130, 70, "2", "1"),
    ]
    assert found["created_at"].to_list() == [datetime(2024, 2, 5, 8, 30), datetime(2024, 2, 2, 9), None]  # noqa: DTZ001
    assert found["symptom_codes"].to_list() == [["2", "10"], ["1"], None]
    assert found["visit_mode_code__raw"].to_list() == [None, None, "40"]
    assert found["visit_date__raw"].null_count() == 3  # a spelling of theirs is regular
    assert found["_null_reason"].to_list() == ['{"weight_kg":"999"}', None, '{"sex_code":"9"}']
    assert place.only_file()["unknown_columns"] == ["QT"]


def test_another_institution_is_read_by_the_dictionary(tmp_path: Path) -> None:
    place = landing(tmp_path)
    place.put("htn_followup.csv", csv_of(("S1", "2024-01-01", "1"), header=("记录编号", "随访日期", "性别")))
    other = csv_of(("S1", "2024-01-01", "1"), header=("JLBH", "SFRQ", "XB"))
    place.put("htn_followup.csv", other, institution=THEIRS)
    place.put("t2dm_followup.csv", csv_of(("S1", "2024-01-01"), header=("JLBH", "SFRQ")))
    place.take()
    sexes = {
        delivery.institution_code: pl.read_parquet(delivery.files[0].path) for delivery in place.books.in_force(DAY)
    }
    assert [sexes[code]["sex_code"].to_list() for code in (OURS, THEIRS)] == [["1"], ["2"]]
    assert place.statuses()["t2dm_followup.csv"] == "quarantined"


def test_a_changed_map_reads_the_file_again(tmp_path: Path) -> None:
    place = landing(tmp_path)
    place.put("htn_followup.csv", csv_of(("S1", "0"), header=("JLBH", "XB")), institution=THEIRS)
    place.put("htn_followup.csv", csv_of(("S1", "1"), header=("记录编号", "性别")))
    assert len(place.take().taken) == 2
    changed = {**CAT.sources["example_vendor"].codes, "CL_SEX": {"0": "2"}}
    old = CAT.sources["example_vendor"]
    new = SourceMap(old.source_id, old.title, old.institutions, old.headers, changed, old.dates)
    place.cat = CAT.__class__(**{**vars(CAT), "sources": {"example_vendor": new}})
    (again,) = place.take().taken
    assert again.institution_code == THEIRS
    rows = {one.institution_code: pl.read_parquet(one.files[0].path) for one in place.books.in_force(DAY)}
    assert rows[THEIRS]["sex_code"].to_list() == ["2"]


def test_the_map_that_fits_best() -> None:
    maps = {
        name: SourceMap(name, name, patterns)
        for name, patterns in {"county": ("654301*",), "town": ("654301101*",), "one": ("654301101",)}.items()
    }
    found = {code: source_of(maps, code) for code in ("654301101", "654301101001", "654301102", "659001")}
    assert [source.source_id if source else None for source in found.values()] == ["one", "town", "county", None]


@pytest.mark.parametrize(
    ("name", "texts", "values"),
    [
        ("sex_code", ["0", "00", "1", "男", "9", "x"], ["1", "1", "2", "1", None, None]),
        ("symptom_codes", ["A,b", "无", "9", "A;88"], [["1", "2"], ["1"], None, None]),
        ("eat_score", ["1", "3", "独立完成"], [0, 3, 0]),  # a figure of theirs before a figure
        ("sbp", ["120", "999", "高"], [120, None, 180]),
        ("drug_unit", ["P", "mg", "勺"], ["3", "1", "勺"]),
    ],
)
def test_codes_of_every_kind_of_column(name: str, texts: list[str], values: list[object]) -> None:
    maps: dict[str, dict[str, str | None]] = {
        "sex_code": {"0": "1", "1": "2", "9": None},
        "symptom_codes": {"a": "1", "B": "2", "9": None},
        "eat_score": {"1": "0"},
        "sbp": {"999": None, "高": "180"},
        "drug_unit": {"P": "3"},
    }
    made = converter(FORM.field(name), CODES, mapped=maps[name])(pl.Series(name, texts, pl.String))
    assert made.value.to_list() == values


def test_a_unit_in_the_header_in_any_of_its_spellings() -> None:
    known = form_headers(CAT.forms["htn_followup"], CAT.repairs)
    assert [known.field(text) for text in ("体重（公斤）", "收缩压(毫米汞柱)", "体重[kg]")] == [
        "weight_kg",
        "sbp",
        "weight_kg",
    ]
    assert [known.field(text) for text in ("体重(斤)", "收缩压(kPa)")] == [None, None]


def test_what_an_unknown_header_was_meant_to_be(tmp_path: Path) -> None:
    """The closest field that the file lacks, with the line to paste; none where nothing is alike."""
    place = landing(tmp_path)
    header = ("记录编号", "随访日期", "舒张压", "病人姓名", "血压高(mmHg)", "舒张期血压", "QT", "")
    place.put("htn_followup.csv", csv_of(("A", "2024-01-01", "80", "甲", "130", "81", "x", ""), header=header))
    older = csv_of(("A", "2024-01-01", "x"), header=("记录编号", "随访日期", "旧列"))
    place.put("htn_followup.csv", older, day=date(2024, 12, 30))
    place.take()
    found = place.books.header_proposals(DAY)
    assert dict(found.schema) == dict(PROPOSAL_SCHEMA)
    rows = {row["header"]: row for row in found.to_dicts()}
    proposed = {header: row["proposed_field"] for header, row in rows.items()}
    assert proposed["病人姓名"] == "person_name"
    assert proposed["血压高(mmHg)"] == "sbp"
    assert proposed["舒张期血压"] != "dbp"  # which the file has
    assert (proposed["QT"], rows["QT"]["similarity"]) == (None, None)
    assert "旧列" not in proposed  # of a delivery no longer in force
    assert rows["血压高(mmHg)"]["proposed_title"] == "收缩压"
    said = str(rows["血压高(mmHg)"]["comment"])
    assert said.endswith("在 rules/sources/<来源>.yaml 的 headers → htn_followup 下加一行  '血压高(mmHg)': sbp")
    assert {row["file_id"] for row in rows.values()} == {place.in_force().files[0].file_id}
