"""Personal data cannot be read back from a masked text."""

from __future__ import annotations

import duckdb
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phqc_pipeline.checks import mask_numbers, mask_personal
from phqc_pipeline.checks.masking import mask_misplaced_id, mask_misplaced_id_duckdb


def _masked(text: str | None, kind: str | None) -> str | None:
    return pl.DataFrame({"text": [text]}, schema={"text": pl.String}).select(mask_personal(pl.col("text"), kind)).item()


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        ("id_number", "65430119900101101X", "6543**********101X"),
        ("id_number", "654301900101123", "6543*******1123"),
        ("id_number", "6543011990010112", "6543********0112"),
        ("id_number", "6.54301E+17", "6.54***E+17"),
        ("id_number", "12", "1******"),
        ("id_number", "张三丰", "张******"),
        ("id_number", "阿勒泰市阿拉哈克镇三村三号", "阿******"),
        ("name", "张三", "张*"),
        ("name", " 阿依古丽·买买提", "阿*"),
        ("phone", "13912345678", "139****5678"),
        ("phone", "0906-2123456", "090****3456"),
        ("phone", "2123456", "212****"),
        ("phone", "无", "无"),
        ("phone", "张三", "张******"),
        ("address", "阿勒泰市阿拉哈克镇三村3号", "阿勒泰市阿拉****"),
        ("address", "三村3号", "三村****"),
        (None, "联系13912345678、654301199001011234", "联系139****5678、6543**********1234"),
        (None, "654301199001011234,654301199001011234", "6543**********1234,6543**********1234"),
        (None, "139-1234-5678", "139****5678"),
        (None, "+8613912345678", "+86139****5678"),
        (None, "１３９１２３４５６７８", "１３９****５６７８"),
        (None, "档案 65430110110100001", "档案 65430110110100001"),
        (None, "收缩压 140", "收缩压 140"),
        (None, None, None),
        ("name", None, None),
    ],
)
def test_masks(kind: str | None, text: str | None, expected: str | None) -> None:
    assert _masked(text, kind) == expected


_DIGITS = st.text("0123456789", min_size=17, max_size=17)
_BETWEEN = st.text(st.characters(blacklist_categories=("Cs", "Nd"), blacklist_characters="Xx\n"), max_size=5)


@given(before=_BETWEEN, body=_DIGITS, last=st.sampled_from("0123456789X"), after=_BETWEEN)
def test_an_identity_number_in_any_text_is_hidden(before: str, body: str, last: str, after: str) -> None:
    number = body + last
    for kind in (None, "name", "id_number", "phone", "address"):
        masked = _masked(before + number + after, kind)
        assert masked is not None
        assert number not in masked
        assert body[4:14] not in masked


@given(before=_BETWEEN, rest=st.text("0123456789", min_size=9, max_size=9), after=_BETWEEN)
def test_a_mobile_in_any_text_is_hidden(before: str, rest: str, after: str) -> None:
    number = "13" + rest
    masked = pl.DataFrame({"text": [before + number + after]}).select(mask_numbers(pl.col("text"))).item()
    assert number not in masked


@given(
    keys=st.lists(
        st.one_of(
            st.from_regex(r"[1-6]\d{5}(19|20)\d\d(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])\d{3}[\dXx]", fullmatch=True),
            st.text("0123456789", min_size=12, max_size=20),
            st.none(),
        ),
        min_size=1,
    )
)
def test_a_key_that_is_an_identity_number_is_hidden_alike_in_both_engines(keys: list[str | None]) -> None:
    """Other keys stay as they are; two people do not become one (but for a chance of one in 65,536)."""
    frame = pl.DataFrame({"key": keys}, schema={"key": pl.String})
    polars = frame.select(mask_misplaced_id(pl.col("key"))).to_series().to_list()
    values = frame.to_arrow()
    with duckdb.connect() as connection:
        connection.register("given_keys", values)
        sql = f"SELECT {mask_misplaced_id_duckdb('key')} AS key FROM given_keys"
        assert connection.execute(sql).to_arrow_table().column("key").to_pylist() == polars
    for key, told in zip(keys, polars, strict=True):
        assert told == key or (key is not None and told is not None and key[6:14] not in told)
