"""The page that explains the rule language to its authors says all there is, and nothing that does not hold."""

from __future__ import annotations

import re

import pytest

from phqc_pipeline.catalogue import load_catalogue
from phqc_pipeline.catalogue.expressions import FUNCTIONS, parse_expression
from phqc_pipeline.catalogue.expressions.nodes import CONTEXT_NAMES
from phqc_pipeline.catalogue.model import PER_FIELD_NAMES
from phqc_pipeline.home import DEFAULT_RULES, PROJECT_DIR
from tests.catalogue.language import value_of

PAGE = (PROJECT_DIR / "docs" / "规则表达式语言.md").read_text(encoding="utf-8")


def blocks() -> list[tuple[str, str, str]]:
    """(form, field or "", expression) of every line in the page's ``sql`` blocks."""
    found = []
    for block in re.findall(r"```sql\n-- (.+?)\n(.+?)```", PAGE, flags=re.DOTALL):
        form, _, field = block[0].partition(" ")
        found += [(form, field, line) for line in block[1].splitlines()]
    return found


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_stands_in_a_table(name: str) -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("| `")]
    assert any(f"`{name}(" in row for row in rows)


def test_no_other_function_stands_there() -> None:
    named = {name for row in PAGE.splitlines() if row.startswith("| `") for name in re.findall(r"`(\w+)\(", row)}
    assert named - set(FUNCTIONS) == {"cast"}


@pytest.mark.parametrize("name", [*CONTEXT_NAMES, *PER_FIELD_NAMES])
def test_every_name_is_explained(name: str) -> None:
    assert f"`{name}`" in PAGE


def test_the_examples_compile() -> None:
    catalogue = load_catalogue(DEFAULT_RULES)
    assert len(blocks()) > 10
    for form_id, field, text in blocks():
        form = catalogue.form(form_id)
        parse_expression(text, form, catalogue, field=form.field(field) if field else None)


@pytest.mark.parametrize("name", ["service_date", "age", "age_months", "age_today", "bmi_calc"])
def test_derived_names_on_the_page_exist(name: str) -> None:
    assert f"`{name}`" in PAGE
    assert name in load_catalogue(DEFAULT_RULES).derived


def test_the_table_of_unusable_cells() -> None:
    rows = re.search(r"\| 格子里 .+?\n\|---.+?\n((?:\|.+\n)+)", PAGE)
    assert rows
    words = {"NULL": None, "真": True, "假": False, "150": 150.0, "300": 300.0, "约150": "约150"}
    delivered = [None, 150, 300, "约150"]
    asked = ["sbp >= 140", "sbp is null", "typed(sbp)", "raw(sbp)", "unreadable(sbp)"]
    for cell, row in zip(delivered, rows[1].splitlines(), strict=True):
        said = [words[word.strip()] for word in row.split("|")[2:-1]]
        assert [value_of(text, sbp=cell) for text in asked] == said
