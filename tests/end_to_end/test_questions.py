"""The analyst's questions of docs/分析示例.md run on a published warehouse, and each gets an answer."""

from __future__ import annotations

import re

import duckdb
import pytest

from tests.end_to_end.conftest import ROOT

_PAGE = (ROOT / "docs" / "分析示例.md").read_text(encoding="utf-8")
QUESTIONS = re.findall(r"^### (\d+)\. .*?```sql\n(.*?)```", _PAGE, re.DOTALL | re.MULTILINE)


def test_there_are_twenty() -> None:
    assert [int(number) for number, _ in QUESTIONS] == list(range(1, 21))


@pytest.mark.parametrize(("number", "sql"), QUESTIONS, ids=[number for number, _ in QUESTIONS])
def test_the_question_is_answered(small: duckdb.DuckDBPyConnection, number: str, sql: str) -> None:
    assert small.execute(sql).fetchone() is not None
