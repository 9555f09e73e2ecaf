"""Cells that cannot be read as they stand: put right where they have a single sense, left and reported otherwise."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path

import polars as pl
import pytest

from phqc_pipeline.catalogue import load_catalogue
from phqc_pipeline.catalogue.delivered import Pair
from phqc_pipeline.catalogue.examples import lake_frame
from phqc_pipeline.extracts.cells import Cells, Converter, converter, repaired
from phqc_pipeline.extracts.dates import Serials
from phqc_pipeline.extracts.pairs import PairSplitter
from phqc_pipeline.home import DEFAULT_RULES, Home

from .conftest import Landing, csv_of, write_registry

CAT = load_catalogue(DEFAULT_RULES)
_MADE: dict[tuple[str, str, bool], Converter] = {}


def convert(place: str, *texts: str | None, workbook: bool = False) -> Cells:
    """Cells of ``form.field``, as the whole catalogue converts them."""
    form, name = place.split(".")
    key = (form, name, workbook)
    if key not in _MADE:
        field = CAT.forms[form].field(name)
        _MADE[key] = converter(field, CAT.codes, Serials(workbook), errors=workbook, repairs=CAT.repairs)
    return _MADE[key](pl.Series(name, texts, pl.String))


# By the repair's id (a unit's: its first name), the field, the text, and what it is read as.
REPAIRED: list[tuple[str, str, str, object]] = [
    ("apostrophe", "htn_followup.sbp", "'130", 130),
    ("apostrophe", "htn_followup.visit_date", "‘2024-01-31", date(2024, 1, 31)),
    ("letters", "htn_followup.sbp", "13O", 130),
    ("letters", "htn_followup.sbp", "l2o", 120),
    ("letters_in_dates", "htn_followup.visit_date", "2O24-0l-31", date(2024, 1, 31)),
    ("decimal_mark", "htn_followup.weight_kg", "65。5", 65.5),
    ("decimal_mark", "htn_followup.weight_kg", "65，5", 65.5),
    ("decimal_mark", "htn_followup.weight_kg", "65..5", 65.5),
    ("trailing_mark", "htn_followup.sbp", "130。", 130),
    ("arrow", "t2dm_followup.fbg", "7.8↑", 7.8),
    ("arrow", "t2dm_followup.fbg", "7.8 (H)", 7.8),
    ("weeks_and_days", "prenatal_followup.gest_weeks", "38+2", 38),
    ("weeks_and_days", "prenatal_followup.gest_weeks", "38周+2天", 38),
    ("serial_date", "htn_followup.visit_date", "45322", date(2024, 1, 31)),
    ("serial_date", "htn_followup.created_at", "45322.75", datetime(2024, 1, 31, 18)),  # noqa: DTZ001
    ("date_separators", "htn_followup.visit_date", "2024、1、31", date(2024, 1, 31)),
    ("date_separators", "htn_followup.visit_date", "2024\\01\\31", date(2024, 1, 31)),
    ("day_month_year", "htn_followup.visit_date", "31/1/2024", date(2024, 1, 31)),
    ("month_day_year", "htn_followup.visit_date", "1/31/2024", date(2024, 1, 31)),
    ("program_date", "htn_followup.visit_date", "Wed Jan 31 00:00:00 CST 2024", date(2024, 1, 31)),
    ("code_as_decimal", "htn_followup.sex_code", "1.0", "1"),
    ("brackets", "htn_followup.visit_mode_code", "[1]", "1"),
    ("brackets", "htn_followup.symptom_codes", '["2", "3"]', ["2", "3"]),
    ("other_separators", "htn_followup.symptom_codes", "2/3", ["2", "3"]),
    ("other_separators", "htn_followup.symptom_codes", "2 3+4", ["2", "3", "4"]),
    ("code_and_name", "htn_followup.sex_code", "1.男性", "1"),
    ("code_and_name", "htn_followup.sex_code", "（1）男", "1"),
    ("name_and_code", "htn_followup.sex_code", "男(1)", "1"),
    ("mmHg", "htn_followup.sbp", "130 mmHg", 130),
    ("mmHg", "htn_followup.sbp", "１３０毫米汞柱", 130),
    ("mmHg", "htn_followup.sbp", "16kPa", 120),
    ("cm", "htn_followup.height_cm", "1.65m", 165),
    ("cm", "htn_followup.height_cm", "1.65", 165),
    ("cm", "htn_followup.height_cm", "1650", 165),
    ("kg", "htn_followup.weight_kg", "131斤", 65.5),
    ("kg", "newborn_visit.birth_weight_kg", "3250", 3.25),
    ("kg/m²", "htn_followup.bmi", "24.2kg/m2", 24.2),
    ("mmol/L", "t2dm_followup.fbg", "7.0mmol/L", 7),
    ("mmol/L", "t2dm_followup.fbg", "126mg/dL", 7),
    ("mg/dL", "health_exam.fbg_mgdl", "7 mmol/L", 126),
    ("g/L", "health_exam.hgb", "13.5g/dL", 135),
    ("μmol/L", "health_exam.creatinine", "80umol/L", 80),
    ("U/L", "health_exam.alt", "30U/L", 30),
    ("×10⁹/L", "health_exam.wbc", "6.5×10^9/L", 6.5),
    ("mg", "smi_followup.drug1_dose", "0.1g", 100),
    ("次/分钟", "htn_followup.heart_rate", "72次/分", 72),
    ("两", "htn_followup.drink_per_day", "100克", 2),
    ("克/天", "t2dm_followup.staple_food_g", "6两", 300),
    ("支", "htn_followup.smoke_per_day", "20支", 20),
    ("℃", "health_exam.temperature", "36.5℃", 36.5),
    ("%", "tb_followup.dose_rate", "95％", 95),
    ("岁", "health_exam.smoke_start_age", "20周岁", 20),
    ("分钟", "htn_followup.exercise_minutes", "0.5小时", 30),
    ("小时/日", "child_exam_1_8m.outdoor_hours", "90分钟", 1.5),
    ("次/周", "htn_followup.exercise_times", "3次/周", 3),
    ("次/日", "htn_followup.drug1_freq", "2次", 2),
    ("周", "prenatal_followup.gest_weeks", "38周", 38),
    ("月", "tb_followup.treatment_month", "3个月", 3),
]


@pytest.mark.parametrize(("repair", "place", "text", "value"), REPAIRED)
def test_what_has_a_single_sense(repair: str, place: str, text: str, value: object) -> None:
    made = convert(place, "无此写法的格子", text, None)
    assert made.value.to_list()[1] == value
    assert made.raw.to_list() == ["无此写法的格子", text, None]
    flags = repaired(made)
    assert flags is not None
    assert flags.to_list() == [False, True, False]


def test_every_repair_is_tried() -> None:
    known = [*(one.repair_id for one in CAT.repairs.rewrites), *(unit.names[0] for unit in CAT.repairs.units)]
    tried = {case[0] for case in REPAIRED}
    assert [one for one in known if one not in tried] == []


@pytest.mark.parametrize(
    ("place", "text"),
    [
        ("htn_followup.sbp", "约130"),
        ("htn_followup.sbp", "130左右"),
        ("htn_followup.sbp", ">180"),
        ("htn_followup.sbp", "一百三"),
        ("htn_followup.sbp", "130cm"),
        ("htn_followup.drink_per_day", "100ml"),  # how strong the drink was nobody knows
        ("htn_followup.visit_date", "24-1-31"),
        ("htn_followup.visit_date", "1/2/2024"),  # the second of January or the first of February
        ("htn_followup.visit_date", "2024-13-05"),
        ("htn_followup.visit_date", "2024"),
        ("htn_followup.sex_code", "1女"),
        ("htn_followup.sex_code", "1.5"),
        ("htn_followup.symptom_codes", "2/88"),
        ("t2dm_followup.fbg", "7.0-7.5"),
    ],
)
def test_what_may_mean_two_things_stays_unreadable(place: str, text: str) -> None:
    made = convert(place, text)
    assert (made.value.to_list(), made.raw.to_list()) == ([None], [text])


@pytest.mark.parametrize(
    ("place", "text", "value"),
    [
        ("htn_followup.weight_kg", "130", 130),  # 斤, perhaps: possible as it stands
        ("htn_followup.weight_kg", "255", 255),  # beyond the hard range, but not far
        ("htn_followup.height_cm", "95", 95),
        ("htn_followup.height_cm", "16.5", 16.5),  # no unit explains it
        ("htn_followup.sbp", "16", 16),  # kPa, or a digit lost
        ("health_exam.vision_left", "1.0", 1),
        ("htn_followup.sbp", "130", 130),
    ],
)
def test_what_may_be_right_is_not_touched(place: str, text: str, value: float) -> None:
    made = convert(place, text)
    assert (made.value.to_list(), made.raw.to_list()) == ([value], [None])


def test_a_serial_in_a_workbook_is_no_repair() -> None:
    made = convert("htn_followup.visit_date", "45322", workbook=True)
    assert (made.value.to_list(), made.raw.to_list()) == ([date(2024, 1, 31)], [None])


def test_too_many_decimals_are_no_repair() -> None:
    made = convert("htn_followup.weight_kg", "65.55", "65.555kg")
    assert made.value.to_list() == [65.55, 65.555]
    flags = repaired(made)
    assert flags is not None
    assert flags.to_list() == [False, True]


def test_examples_are_read_as_the_loader_reads() -> None:
    """A rule's examples and the sample's cells have a reader of their own: it repairs alike."""
    for _, place, text, value in REPAIRED:
        form, name = place.split(".")
        frame = lake_frame(CAT.forms[form], CAT, [{name: text}])
        assert frame[name].to_list() == [value], (place, text)
        assert frame[f"{name}__raw"].to_list() == [text]


# --- two figures in one cell ---------------------------------------------------------------------------------------

BP: Pair = next(pair for pair in CAT.repairs.pairs if pair.repair_id == "blood_pressure")


@pytest.mark.parametrize(
    ("sbp", "dbp", "expected"),
    [
        ("130/80", None, (130, 80)),
        ("130/80", "", (130, 80)),
        ("130／80", "130／80", (130, 80)),
        ("130/80 mmHg", "80", (130, 80)),
        (None, "130/80", (130, 80)),
        ("130", "130/80", (130, 80)),
        ("80/130", None, (80, 130)),  # as written: the rule on their order speaks
        ("130/80", "85", (None, 85)),
        ("130", "128/80", (130, None)),
        ("130/80", "130/85", (None, None)),
        ("130/80", "测不出", (None, None)),
        ("130/80/75", None, (None, None)),
    ],
)
def test_blood_pressure_in_one_cell(sbp: str | None, dbp: str | None, expected: tuple[object, object]) -> None:
    form = CAT.forms["htn_followup"]
    regular = ("120", "75")
    made = {
        name: convert(f"htn_followup.{name}", regular[side], text or None)
        for side, (name, text) in enumerate((("sbp", sbp), ("dbp", dbp)))
    }
    PairSplitter(BP, form.field("sbp"), form.field("dbp")).split(made)
    assert [made[name].value.to_list() for name in ("sbp", "dbp")] == [[120, expected[0]], [75, expected[1]]]
    assert [made[name].raw.to_list()[0] for name in ("sbp", "dbp")] == [None, None]
    if None not in expected:
        assert {made["sbp"].raw[1], made["dbp"].raw[1]} & {sbp, dbp} - {None, ""}


def test_a_file_with_one_column_for_both(tmp_path: Path) -> None:
    home = Home(tmp_path)
    write_registry(home)
    landing = Landing(home, CAT)
    header = ("记录编号", "随访日期", "血压(mmHg)", "体重")
    rows = (("A", "45322", "130/80", "65.5kg"), ("B", "2024-02-01", "测不出", "70"))
    landing.put("htn_followup.csv", csv_of(*rows, header=header))
    landing.take()
    found = landing.rows().select("sbp", "sbp__raw", "dbp", "dbp__raw", "weight_kg", "weight_kg__raw")
    assert found.rows() == [
        (130, None, 80, None, 65.5, "65.5kg"),  # in a column for both this is how it is written
        (None, "测不出", None, "测不出", 70, None),  # unreadable, both of them: neither figure was left out
    ]
    assert not {"sbp", "dbp"} & landing.in_force().missing_columns
    reason = str(landing.only_file()["reason"])
    said = "随访日期（visit_date） 1 格、体重（weight_kg） 1 格"
    assert f"写法不规范、已自动换算：{said}；" in reason


def test_a_column_for_both_beside_one_of_its_own_is_unknown(tmp_path: Path) -> None:
    home = Home(tmp_path)
    write_registry(home)
    landing = Landing(home, CAT)
    landing.put("htn_followup.csv", csv_of(("A", "131", "130/80"), header=("记录编号", "收缩压", "血压")))
    landing.take()
    assert landing.only_file()["unknown_columns"] == ["血压"]
    assert landing.rows()["sbp"].to_list() == [131]
