"""Cells of every type, as clerks and systems write them."""

# ruff: noqa: DTZ001 (the lake holds local times without a zone)

from __future__ import annotations

from datetime import date, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phqc_pipeline.catalogue.model import Field
from phqc_pipeline.extracts.cells import ERROR_MARK, Cells, converter
from phqc_pipeline.extracts.dates import Serials, parse_times
from phqc_pipeline.extracts.plain_text import as_text, float_text

from .conftest import CODES, FORM

SERIALS = Serials(allowed=True)


def convert(name: str, *texts: str | None, serials: Serials = Serials()) -> Cells:  # noqa: B008
    return converter(FORM.field(name), CODES, serials)(pl.Series(name, texts, pl.String))


def values(name: str, *texts: str | None, serials: Serials = Serials()) -> list[object]:  # noqa: B008
    return convert(name, *texts, serials=serials).value.to_list()


def raws(name: str, *texts: str | None) -> list[str | None]:
    return convert(name, *texts).raw.to_list()


@pytest.mark.parametrize(
    "text",
    [
        "2024-01-31",
        "2024/1/31",
        "2024.1.31",
        "20240131",
        "2024年1月31日",
        "２０２４－０１－３１",
        "2024-01-31 08:05",
        "2024/1/31 8:05:00",
        "2024-01-31 23:59:59.999",
        "2024-01-31T08:05:00",
        "2024-01-31T08:05:00+08:00",
        "2024-01-30T16:00:00Z",
        "2024-01-30T16:00:00.000+00:00",
        "2024年1月31日 8时5分",
        "2024年01月31日08:05",
        "20240131080500",
        " 2024-01-31\t",
    ],
)
def test_spellings_of_a_date(text: str) -> None:
    assert values("visit_date", text) == [date(2024, 1, 31)]
    assert raws("visit_date", text) == [None]


@pytest.mark.parametrize(
    "text",
    [
        "2024-02-30",
        "2024-13-01",
        "2024",
        "2024-01",
        "31/1/2024",
        "24-01-31",
        "45322",
        "0000-00-00",
        "昨天",
        "2024-01-31-",
        "1",
    ],
)
def test_no_date(text: str) -> None:
    made = convert("visit_date", text)
    assert (made.value.to_list(), made.raw.to_list()) == ([None], [text])


def test_month_only_where_the_type_is_ym() -> None:
    spelled = ("2024-01", "2024/1", "2024.1", "202401", "2024年1月", "2024-01-31")
    assert values("diagnosed_on", *spelled) == [date(2024, 1, 1)] * 5 + [date(2024, 1, 31)]


def test_instants_are_told_in_shanghai_with_its_summer_time() -> None:
    """Midnight in Shanghai, as JavaScript and Java write it in UTC: UTC+8, but UTC+9 in the summers of 1986 to 1991."""
    assert values("birth_date", "1950-03-03T16:00:00Z", "1988-06-30T15:00:00Z", "1988-06-30T16:00:00Z") == [
        date(1950, 3, 4),
        date(1988, 7, 1),
        date(1988, 7, 1),
    ]


def test_a_date_does_not_depend_on_its_neighbours() -> None:
    alone = values("visit_date", "2024-01-31-")
    assert values("visit_date", "2024-01-31-", "2024年1月31日", "20240131")[:1] == alone == [None]


def test_serials_only_in_workbooks() -> None:
    assert values("visit_date", "45322", "45322.75", "1", "59", serials=SERIALS) == [
        date(2024, 1, 31),
        date(2024, 1, 31),
        date(1900, 1, 1),
        date(1900, 2, 28),
    ]
    assert values("created_at", "45322.75", serials=SERIALS) == [datetime(2024, 1, 31, 18)]
    assert values("visit_date", "43860", serials=Serials(True, epoch_1904=True)) == [date(2024, 1, 31)]
    # a year is no serial: it would be a day in 1905
    assert values("visit_date", "2024", "20240131", "0", "-1", serials=SERIALS) == [None, date(2024, 1, 31), None, None]


@settings(deadline=None)
@given(st.datetimes(datetime(1800, 1, 1), datetime(2200, 1, 1)))
def test_any_time_comes_back(moment: datetime) -> None:
    moment = moment.replace(microsecond=0)
    spelled = [
        f"{moment:%Y-%m-%d %H:%M:%S}",
        f"{moment.year}/{moment.month}/{moment.day} {moment.hour}:{moment.minute}:{moment.second}",
        f"{moment.year}年{moment.month}月{moment.day}日 {moment.hour}时{moment.minute}分{moment.second}秒",
        f"{moment:%Y%m%d%H%M%S}",
        f"{moment:%Y/%m/%d} {'上午' if moment.hour < 12 else '下午'} {moment:%I:%M:%S}",
        f"{moment:%Y-%m-%d %I:%M:%S %p}",
    ]
    assert parse_times(pl.Series(spelled)).to_list() == [moment] * len(spelled)


@settings(deadline=None)
@given(st.dates(date(1900, 3, 1), date(2099, 12, 31)))
def test_any_serial_comes_back(day: date) -> None:
    serial = str((day - date(1899, 12, 30)).days)
    expected = None if 1900 <= int(serial) < 2100 else datetime(day.year, day.month, day.day)
    assert parse_times(pl.Series([serial]), serials=SERIALS).to_list() == [expected]


def test_numbers() -> None:
    texts = ("120", "120.0", "１２０", " 120 ", "+120", "1,200", "1.2E+02", "-5", ".5")
    assert values("sbp", *texts) == [120, 120, 120, 120, 120, 1200, 120, -5, 0.5]
    assert raws("sbp", *texts)[:-1] == [None] * 8


@pytest.mark.parametrize(
    "text", ["130/80", "65kg", "nan", "inf", "1e999", "一百", "1,2", "1 2", "0x10", "1_000", "NULL", "--"]
)
def test_no_number(text: str) -> None:
    made = convert("sbp", text)
    assert (made.value.to_list(), made.raw.to_list()) == ([None], [text])


def test_more_decimals_than_the_column_has_keep_their_text() -> None:
    made = convert("weight_kg", "65.2", "65.20", "65.25", "0.1", "65.000001", "９．９９")
    assert made.value.to_list() == [65.2, 65.2, 65.25, 0.1, 65.000001, 9.99]
    assert made.raw.to_list() == [None, None, "65.25", None, "65.000001", "9.99"]
    assert raws("sbp", "120", "120.5") == [None, "120.5"]


@settings(deadline=None)
@given(st.integers(-(10**14), 10**14), st.integers(0, 6))
def test_decimals_are_counted_exactly(whole: int, scale: int) -> None:
    """However floats fall: a text of ``scale`` decimals is regular, one with a further digit is not."""
    column = Field("x", "x", f"dec(18,{scale})", "dec", scale=scale)
    sign, digits = ("-" if whole < 0 else ""), str(abs(whole)).zfill(scale + 1)
    text = sign + (f"{digits[:-scale]}.{digits[-scale:]}" if scale else digits)
    longer = (text if scale else text + ".") + "5"
    made = converter(column, CODES)(pl.Series([text, longer]))
    assert made.value.to_list() == [float(text), float(longer)]
    assert made.raw.to_list() == [None, longer]


def test_nothing_said() -> None:
    empty = ("", "-", "/", "—", "——", "－", "／", " - ", "\u3000", None)
    for name in ("note", "sbp", "visit_date", "created_at", "sex_code", "symptom_codes", "record_id", "drug_unit"):
        made = convert(name, *empty)
        assert made.value.null_count() == len(empty), name
        assert made.raw.null_count() == len(empty), name


def test_why_nothing_is_said() -> None:
    """Words for a missing value are empty in numeric and date columns, and kept; elsewhere they are text or a code."""
    words = ("无", "不详", "未查", "拒查", "拒绝", " 未查 ")
    for name in ("sbp", "weight_kg", "visit_date", "diagnosed_on", "created_at"):
        made = convert(name, *words, "x")
        assert made.value.null_count() == len(words) + 1
        assert made.raw.to_list() == [None] * len(words) + ["x"]
        assert made.word is not None
        assert made.word.to_list() == ["无", "不详", "未查", "拒查", "拒绝", "未查", None]
    assert values("note", "无") == ["无"]
    assert values("symptom_codes", "无") == [["1"]]
    assert (values("sex_code", "不详"), raws("sex_code", "不详")) == ([None], ["不详"])


def test_words_that_are_values_in_a_numeric_column() -> None:
    made = convert("vision", "4.9", "盲", "光感", "看不清")
    assert made.value.to_list() == [4.9, None, None, None]
    assert made.raw.to_list() == [None, "盲", "光感", "看不清"]


def test_numbers_with_names() -> None:
    """A score is a number, or the name of the choice that gives it; 无 may be such a name."""
    made = convert("eat_score", "3", "独立完成", " 可自理", "03", "无", "4", "不详", "随便", "-")
    assert made.value.to_list() == [3, 0, 0, 3, 5, 4, None, None, None]
    assert made.raw.to_list() == [None] * 7 + ["随便", None]
    assert made.word is not None
    assert made.word.to_list()[6:8] == ["不详", None]


def test_codes() -> None:
    texts = ("1", "01", "0001", "１", "男", "男性", "M", "m", "Ｍ", " 男 ", "2", None)
    made = convert("sex_code", *texts)
    assert made.value.to_list() == ["1"] * 10 + ["2", None]
    assert made.raw.null_count() == len(texts)
    assert (values("sex_code", "3", "男女", "1.0"), raws("sex_code", "3", "男女", "1.0")) == (
        [None] * 3,
        ["3", "男女", "1.0"],
    )


def test_a_dash_may_be_a_code() -> None:
    assert values("urine_code", "-", "－", "(-)", "（-）", "阴性", "1", "—", "/") == ["1"] * 6 + [None, None]


def test_several_codes() -> None:
    texts = ("1", "1,2", "1，2", "2;10", "2；10", "2|10", "2、10", "02, 10", "头痛头晕、其他", "2,2", ",2,", "１，２")
    assert values("symptom_codes", *texts) == [
        ["1"],
        ["1", "2"],
        ["1", "2"],
        *[["2", "10"]] * 6,
        ["2"],
        ["2"],
        ["1", "2"],
    ]


def test_one_unknown_code_makes_the_whole_cell_unreadable() -> None:
    made = convert("symptom_codes", "1,2", "1,77", "2,其他的话", ",,", "12")
    assert made.value.to_list() == [["1", "2"], None, None, None, None]
    assert made.raw.to_list() == [None, "1,77", "2,其他的话", None, "12"]


def test_a_name_that_holds_a_separator_is_not_taken_apart() -> None:
    assert values("symptom_codes", "肝、胆不适", "头痛头晕、肝、胆不适") == [["11"], ["2", "11"]]


def test_text_is_kept_but_for_the_space_around_it() -> None:
    texts = ("一般", " 一般", "一般\u3000", "\u200b一般", "一 般", "Ａ，Ｂ", "a\ufffdb")
    made = convert("note", *texts)
    assert made.value.to_list() == ["一般", "一般", "一般", "一般", "一 般", "Ａ，Ｂ", "a\ufffdb"]
    assert made.raw.to_list() == [None, " 一般", "一般\u3000", "\u200b一般", None, None, None]


def test_identifiers_are_narrow() -> None:
    made = convert("id_card_no", "６５４３０１１９５００３０４１２３Ｘ", "6.54301E+17")
    assert made.value.to_list() == ["65430119500304123X", "6.54301E+17"]
    assert made.raw.to_list() == ["６５４３０１１９５００３０４１２３Ｘ", None]


def test_text_with_a_code_list_is_the_code_or_the_text() -> None:
    made = convert("drug_unit", "mg", "毫克", "1", "片", " 片 ", "喷", "-")
    assert made.value.to_list() == ["1", "1", "1", "3", "3", "喷", None]
    assert made.raw.to_list() == [None, None, None, None, " 片 ", None, None]


@pytest.mark.parametrize("name", [column.name for column in FORM.fields])
def test_error_cells_are_unreadable_in_every_column(name: str) -> None:
    made = convert(name, f"{ERROR_MARK}#N/A", None)
    assert made.value.to_list() == [None, None]
    assert made.raw.to_list() == ["#N/A", None]


@pytest.mark.parametrize("name", [column.name for column in FORM.fields])
def test_columns_without_rows_or_without_cells(name: str) -> None:
    full = convert(name, "1")
    for texts in ((), (None, None)):
        made = convert(name, *texts)
        assert (len(made.value), len(made.raw), made.value.dtype) == (len(texts), len(texts), full.value.dtype)


@settings(deadline=None, max_examples=30)
@given(
    st.lists(
        st.one_of(st.none(), st.text(max_size=8), st.sampled_from(["1", "无", "2024-01-31", "1,2", "-"])), max_size=20
    )
)
def test_every_cell_is_value_empty_or_kept(texts: list[str | None]) -> None:
    """Whatever is written: a value, or the text is kept, or it is one of the ways to say nothing. Never an error."""
    silent = {"", "-", "/", "—", "——", "无", "不详", "未查", "拒查", "拒绝"}
    for column in FORM.fields:
        made = convert(column.name, *texts)
        assert made.value.len() == made.raw.len() == len(texts)
        for text, value, raw in zip(texts, made.value.to_list(), made.raw.to_list(), strict=True):
            if text is None:
                assert (value, raw) == (None, None)
            elif value is None and raw is None:
                plain = pl.Series([text]).str.normalize("NFKC").str.strip_chars().item()
                assert plain in silent or not plain.strip(",;|、\u200b\u200c\u200d\u2060\ufeff \x1c\x1d\x1e\x1f")


def test_values_as_a_person_would_type_them() -> None:
    floats = (1.0, 65.2, 0.1 + 0.2, 654301195003041237.0, 1e15, 999999999999999.0, -3.0, 1 / 3, 123456789012.5, None)
    assert float_text(pl.Series(floats)).to_list() == [
        "1",
        "65.2",
        "0.3",
        "6.54301195003041E+17",
        "1E+15",
        "999999999999999",
        "-3",
        "0.333333333333333",
        "123456789012.5",
        None,
    ]
    assert float_text(pl.Series([65.2, 1.0], dtype=pl.Float32)).to_list() == ["65.2", "1"]
    assert as_text(pl.Series([[1, 2], None, [], [3]])).to_list() == ["1,2", None, None, "3"]
    assert as_text(pl.Series([True, None])).to_list() == ["TRUE", None]
    assert as_text(pl.Series([datetime(2024, 1, 1, 8)])).to_list() == ["2024-01-01 08:00:00"]
    utc = pl.Series([datetime(2024, 1, 31, 16)]).dt.replace_time_zone("UTC")
    assert as_text(utc).to_list() == ["2024-02-01 00:00:00"]
    assert as_text(pl.Series([date(2024, 1, 31)])).to_list() == ["2024-01-31"]
    assert len(as_text(pl.Series([timedelta(hours=30)])).item()) > 0
