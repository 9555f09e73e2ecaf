"""Wide exports: several visits in one row come out as the same records an ordinary file would give."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from phqc_pipeline.catalogue import load_catalogue
from phqc_pipeline.catalogue.delivered import Repeats
from phqc_pipeline.catalogue.model import Catalogue, Form
from phqc_pipeline.extracts import read_csv
from phqc_pipeline.extracts.header import form_headers, map_columns
from phqc_pipeline.home import DEFAULT_RULES, Home

from .conftest import Landing, write_registry

CAT = load_catalogue(DEFAULT_RULES)


def mapped(form_id: str, *headers: str, cat: Catalogue = CAT) -> dict[tuple[str, ...], list[str]]:
    """Visit → fields of its columns; ``()``: those that stand once."""
    found = map_columns(headers, form_headers(cat.forms[form_id], cat.repairs))
    visits = {group.values: sorted([*group.fields, *group.pairs.values()]) for group in found.groups}
    return {(): sorted(found.fields), **visits, ("?",): list(found.unknown)}


def take(root: Path, form_id: str, header: Sequence[str], *rows: Sequence[str]) -> Landing:
    home = Home(root)
    write_registry(home)
    landing = Landing(home, CAT)
    text = io.StringIO()
    pl.DataFrame(list(rows), schema=list(header), orient="row").write_csv(text)
    landing.put(f"{form_id}.csv", text.getvalue())
    landing.take()
    return landing


def told(frame: pl.DataFrame, *names: str) -> list[tuple[object, ...]]:
    return frame.select(*names).rows()


# --- which column is which visit's -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("form_id", "header", "values", "field"),
    [
        ("htn_followup", "第1次收缩压", ("1",), "sbp"),
        ("htn_followup", "第一次-收缩压(mmHg)", ("1",), "sbp"),
        ("htn_followup", "收缩压（第2次）", ("2",), "sbp"),
        ("htn_followup", "收缩压(第2次)(mmHg)", ("2",), "sbp"),
        ("htn_followup", "【第3次】 体重", ("3",), "weight_kg"),
        ("htn_followup", "sbp_4", ("4",), "sbp"),
        ("htn_followup", "第2次药物名称1", ("2",), "drug1_name"),
        ("htn_followup", "药物1每日次数_3", ("3",), "drug1_freq"),
        ("htn_followup", "第1次录入时间", ("1",), "created_at"),
        ("tb_followup", "第4次随访时间", ("4",), "visit_date"),
        ("prenatal_followup", "第2次随访日期", ("2",), "visit_date"),
        ("prenatal_followup", "孕周5", ("5",), "gest_weeks"),
        ("prenatal_followup", "宫底高度(第四次)", ("4",), "fundal_height_cm"),
        ("child_exam_1_8m", "满月体重", ("1",), "weight_kg"),
        ("child_exam_1_8m", "8月龄_前囟长", ("8",), "fontanelle_x"),
        ("child_exam_12_30m", "18月龄随访日期", ("18",), "visit_date"),
        ("child_exam_12_30m", "2岁半-出牙数", ("30",), "teeth_count"),
        ("child_exam_3_6y", "身高(5岁)", ("5",), "height_cm"),
        ("child_tcm", "下次随访日期(24月龄)", ("24",), "next_visit_date"),
        ("vaccination_dose", "乙肝疫苗第1剂", ("HEPB", "1"), "dose_date"),
        ("vaccination_dose", "乙肝疫苗第3针-批号", ("HEPB", "3"), "batch_no"),
        ("vaccination_dose", "百白破(第3剂)接种日期", ("DTAP", "3"), "dose_date"),
        ("vaccination_dose", "HEPB_2_dose_date", ("HEPB", "2"), "dose_date"),
        ("vaccination_dose", "脊灰减毒活疫苗（二价）第3剂接种部位", ("BOPV", "3"), "site_code"),
        ("delivery_record", "新生儿性别2", ("2",), "child_sex"),
    ],
)
def test_a_marked_header(form_id: str, header: str, values: tuple[str, ...], field: str) -> None:
    known = form_headers(CAT.forms[form_id], CAT.repairs)
    assert known.field(header) is None
    assert known.marked(header) == (values, field, None)


@pytest.mark.parametrize(
    ("form_id", "header"),
    [
        ("htn_followup", "收缩压1"),  # a mere figure is no mark here
        ("htn_followup", "第5次收缩压"),
        ("htn_followup", "第1次机构编码"),  # a row belongs to one institution
        ("child_exam_1_8m", "3月"),
        ("child_exam_1_8m", "2月体重"),
        ("child_exam_1_8m", "3月龄月龄"),  # what the mark tells is no column
        ("vaccination_dose", "乙肝疫苗"),
        ("vaccination_dose", "乙肝疫苗第7剂"),
        ("delivery_record", "分娩日期2"),
        ("resident_profile", "第1次姓名"),
    ],
)
def test_no_marked_header(form_id: str, header: str) -> None:
    assert form_headers(CAT.forms[form_id]).marked(header) is None


def test_every_form_that_repeats_knows_a_wide_header_and_its_own_narrow_one() -> None:
    """No header of a form may look like another visit's: a narrow file would fall apart."""
    forms = [form for form in CAT.forms.values() if form.repeats]
    assert len(forms) == 12
    for form in forms:
        assert form.repeats is not None
        known = form_headers(form, CAT.repairs)
        narrow = map_columns([header for column in form.fields for header in column.headers[:1]], known)
        assert not narrow.groups
        for column in form.fields:
            for header in column.headers:
                assert known.field(header) == column.name, header
        assert len(map_columns(wide_header(form), known).groups) >= 2


def wide_header(form: Form) -> list[str]:
    """Titles of the repeating columns for the first two groups, each by the first way its mark is written."""
    repeats = form.repeats
    assert isinstance(repeats, Repeats)
    firsts = [[words[0] for words in values.values()][:2] for values in repeats.factors.values()]
    marks = [
        repeats.templates[0].format(
            **{name: words[min(n, len(words) - 1)] for name, words in zip(repeats.factors, firsts, strict=True)}
        )
        for n in (0, 1)
    ]
    return ["记录编号", *(f"{mark}{form.field(name).title}" for mark in marks for name in sorted(repeats.fields))]


def test_a_file_with_a_plain_date_or_stage_is_an_ordinary_one() -> None:
    assert mapped("htn_followup", "记录编号", "随访日期", "第1次收缩压", "第2次收缩压")[("?",)] == [
        "第1次收缩压",
        "第2次收缩压",
    ]
    assert ("1",) not in mapped("child_exam_1_8m", "记录编号", "月龄", "满月体重", "3月龄体重")
    # but a date that stands once belongs to a form of which other columns repeat
    assert ("1",) in mapped("delivery_record", "记录编号", "分娩日期", "新生儿性别1", "新生儿性别2")


def test_one_visit_alone_is_wide_if_its_date_is_marked() -> None:
    assert ("1",) in mapped("child_exam_1_8m", "记录编号", "满月随访日期", "满月体重")
    assert mapped("child_exam_1_8m", "记录编号", "满月体重")[("?",)] == ["满月体重"]


# --- what comes out ----------------------------------------------------------------------------------------------


def test_four_visits_on_one_page(tmp_path: Path) -> None:
    """An empty visit makes no record; columns that stand once go to every one; every row is accounted for."""
    header = ["记录编号", "姓名", "机构编码", "责任医生", "第1次随访日期", "第1次血压", "第2次随访日期", "第2次血压"]
    header += ["第2次责任医生", "第3次随访日期", "第3次收缩压", "第4次随访日期", "来源号"]
    landing = take(
        tmp_path,
        "htn_followup",
        header,
        ["GX1", "甲", "654301101", "王医", "2024-01-05", "130/80", "2024-04-05", "138/86", "李医", "", "", "-", "x"],
        ["GX2", "乙", "654301102", "王医", "2024-01-06", "130/80", "2024-04-06", "138/86", "", "", "", "", "y"],
        ["GX3", "丙", "", "王医", "", "", "", "", "", "2024-07-01", "", "", ""],
        ["GX4", "丁", "", "王医", "", "／", "", " ", "", "", "—", "", ""],
        ["", "戊", "", "王医", "", "", "", "", "", "", "150", "2024-10-01", ""],
    )
    rows = landing.rows()
    assert told(rows, "_row_number", "record_id", "visit_date", "sbp", "dbp", "doctor_name") == [
        (2, "GX1-1", date(2024, 1, 5), 130, 80, "王医"),
        (2, "GX1-2", date(2024, 4, 5), 138, 86, "李医"),
        (4, "GX3-3", date(2024, 7, 1), None, None, "王医"),
        (6, None, None, 150, None, "王医"),
        (6, None, date(2024, 10, 1), None, None, "王医"),
    ]
    assert rows["_record_key"].n_unique() == 5
    assert rows["_extra"].to_list()[:2] == ['{"来源号":"x"}'] * 2
    file = landing.only_file()
    assert (file["rows_read"], file["rows_loaded"], file["rows_rejected"], file["rows_blank"]) == (6, 5, 1, 1)
    assert "宽表：一行有 4 次（1、2、3、4），拆成每次一条" in str(file["reason"])
    assert "1 行一次也没有填" in str(file["reason"])
    (rejected,) = landing.rejected()
    assert (rejected["row_number"], rejected["reason"][:5]) == (3, "机构编码“")
    missing = landing.in_force().missing_columns
    assert not {"visit_date", "sbp", "dbp"} & missing
    assert "weight_kg" in missing


def test_numbers_of_their_own(tmp_path: Path) -> None:
    landing = take(
        tmp_path,
        "child_tcm",
        ["6月龄记录编号", "12月龄记录编号", "姓名", "6月龄随访日期", "12月龄随访日期", "36月龄服务内容"],
        ["A", "B", "甲", "2024-01-05", "2024-07-05", "1"],
    )
    assert told(landing.rows(), "record_id", "month_stage", "visit_date", "service_codes") == [
        ("A", "6", date(2024, 1, 5), None),
        ("B", "12", date(2024, 7, 5), None),
        (None, "36", None, ["1"]),
    ]


def test_the_card_of_a_child(tmp_path: Path) -> None:
    landing = take(
        tmp_path,
        "vaccination_dose",
        ["记录编号", "儿童编码", "乙肝疫苗第1剂", "乙肝疫苗第1剂批号", "乙肝疫苗第2剂", "卡介苗第1针接种日期"],
        ["K1", "C1", "2024-01-01", "B1", "", "2024-01-02"],
        ["K2", "C2", "", "", "2024-02-01", ""],
    )
    assert told(landing.rows(), "record_id", "child_code", "vaccine_code", "dose_no", "dose_date", "batch_no") == [
        ("K1-HEPB-1", "C1", "HEPB", 1, date(2024, 1, 1), "B1"),
        ("K1-BCG-1", "C1", "BCG", 1, date(2024, 1, 2), None),
        ("K2-HEPB-2", "C2", "HEPB", 2, date(2024, 2, 1), None),
    ]


def test_the_closing_part_belongs_to_the_last_visit(tmp_path: Path) -> None:
    landing = take(
        tmp_path,
        "tb_followup",
        ["记录编号", "姓名", "第1次随访时间", "第2次随访时间", "停止治疗时间"],
        ["T1", "甲", "2024-01-05", "2024-02-05", "2024-03-01"],
        ["T2", "乙", "2024-01-05", "", "2024-03-02"],
    )
    assert told(landing.rows(), "record_id", "stop_date") == [
        ("T1-1", None),
        ("T1-2", date(2024, 3, 1)),
        ("T2-1", date(2024, 3, 2)),
    ]


CELLS: Mapping[str, tuple[str, Sequence[str]]] = {
    "visit_date": ("随访日期", ["", "2024-05-01", "2024/6/1", "45322", "不详", "-"]),
    "weight_kg": ("体重", ["", "3.4", "3.4kg", "3400", "/"]),
    "visit_doctor": ("随访医生签名", ["", "王医", " 李医"]),
    "created_at": ("录入时间", ["2024-05-01 08:00", "2024-05-02"]),
}


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    lines=st.lists(
        st.dictionaries(
            st.sampled_from(["1", "3", "6", "8"]),
            st.tuples(*(st.sampled_from(cells) for _, cells in CELLS.values())),
            min_size=1,
        ),
        min_size=1,
        max_size=6,
    ),
    block=st.sampled_from([64, 1 << 20]),
)
def test_narrow_and_wide_give_the_same_records(
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    lines: list[dict[str, tuple[str, ...]]],
    block: int,
) -> None:
    """One row a child against one row a visit, over blocks of any size. 录入时间 is marked though of the envelope."""
    monkeypatch.setattr(read_csv, "BLOCK_BYTES", block)
    marks = {"1": "满月", "3": "3月龄", "6": "6月龄", "8": "8月龄"}
    header = [f"{mark}{title}" for mark in marks.values() for title, _ in CELLS.values()]
    rows = [
        [f"R{n}", "甲", *(cell for stage in marks for cell in line.get(stage, ("",) * len(CELLS)))]
        for n, line in enumerate(lines)
    ]
    wide = take(tmp_path_factory.mktemp("wide"), "child_exam_1_8m", ["记录编号", "姓名", *header], *rows)
    visits = [
        [f"R{n}-{stage}", "甲", stage, *line[stage]] for n, line in enumerate(lines) for stage in marks if stage in line
    ]
    titles = ["记录编号", "姓名", "月龄", *(title for title, _ in CELLS.values())]
    narrow = take(tmp_path_factory.mktemp("narrow"), "child_exam_1_8m", titles, *visits)
    assert wide.rows().drop("_row_number").equals(narrow.rows().drop("_row_number"))
    file = wide.only_file()
    assert file["rows_read"] == file["rows_loaded"] == len(visits)
