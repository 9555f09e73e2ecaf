"""The growth figures: read with the catalogue, part of its fingerprint, every fault named with file and line."""

from __future__ import annotations

import pytest

from tests.catalogue.small_catalogue import Small

DAYS, MONTHS = "growth/by_day.csv", "growth/by_month.csv"
BY_DAY = """\
measure,sex_code,age_days,l,m,s,source
weight_kg,1,0,0.3487,3.3464,0.14602,WHO
weight_kg,1,1,0.3127,3.3174,0.14693,WHO
weight_kg,2,0,0.3809,3.2322,0.14171,WHO
weight_kg,2,1,0.3259,3.1957,0.14578,WHO
"""
BY_MONTH = """\
measure,sex_code,age_months,l,m,s
weight_kg,1,0,1,3.5,0.1
weight_kg,2,0,1,3.4,0.1
"""


@pytest.fixture
def growing(small: Small) -> Small:
    return small.write(DAYS, BY_DAY).write(MONTHS, BY_MONTH)


def test_tables_by_sex_and_age(growing: Small) -> None:
    table = growing.load().growth["weight_kg"]
    assert (table.sexes, table.first_day, table.days, table.first_month, table.months) == (("1", "2"), 0, 2, 0, 1)
    assert table.lms[2] == (1.0, 3.5, 0.1)  # after a sex's days come its months
    assert table.lms[table.ages] == (0.3809, 3.2322, 0.14171)


def test_the_order_of_rows_and_files_means_nothing(growing: Small) -> None:
    before = growing.load().growth["weight_kg"].lms
    lines = BY_DAY.splitlines(keepends=True)
    growing.write(DAYS, lines[0] + "".join(reversed(lines[1:])))
    assert growing.load().growth["weight_kg"].lms == before


def test_a_figure_changes_the_catalogues_fingerprint(growing: Small) -> None:
    before = growing.load().fingerprint
    assert growing.write(DAYS, BY_DAY.replace("\n", "\r\n")).load().fingerprint == before
    assert growing.write(DAYS, BY_DAY.replace("3.3464", "3.3465")).load().fingerprint != before


def test_without_figures_a_rule_cannot_ask_for_them(growing: Small) -> None:
    derived = (
        "\n  - {name: waz, title: Z值, expr: \"growth_z('weight_kg', weight_kg, '1', birth_date, service_date)\"}\n"
    )
    growing.append("derived.yaml", derived)
    assert "waz" in growing.load().derived
    growing.remove(DAYS).remove(MONTHS)
    fault = growing.only_fault()
    assert (fault.file, fault.line) == ("derived.yaml", growing.line("derived.yaml", "- {name: waz"))
    assert "没有指标 weight_kg 的生长数值" in fault.problem
    assert "rules/growth/" in fault.remedy


@pytest.mark.parametrize(
    ("old", "new", "line", "problem"),
    [
        ("measure,sex_code", "mesure,sex_code", 1, "缺少列 measure"),
        ("age_days", "age_weeks", 1, "age_days 和 age_months 应恰有一列"),
        ("weight_kg,1,1,", "weight_kg,1,一,", 3, "年龄不是 0 以上的整数"),
        ("weight_kg,1,1,", "weight_kg,1,-1,", 3, "年龄不是 0 以上的整数"),
        ("weight_kg,1,1,", "weight_kg,,1,", 3, "measure 或 sex_code 是空的"),
        ("3.3464", "三斤", 2, "l、m、s 不是数"),
        ("3.3464", "0", 2, "m、s 应大于 0"),
        ("0.3487,3.3464,0.14602", "7,3.3464,0.14602", 2, "l、s 太大"),
        ("weight_kg,1,1,", "weight_kg,1,0,", 3, "同一年龄有两行"),
        ("weight_kg,1,1,", "weight_kg,1,2,", 2, "年龄（age_days）不连续"),
        ("weight_kg,2,1,0.3259,3.1957,0.14578,WHO\n", "", 2, "年龄（age_days）不连续，或各性别的年龄起止不同"),
    ],
)
def test_faults(growing: Small, old: str, new: str, line: int, problem: str) -> None:
    growing.write(DAYS, BY_DAY.replace(old, new, 1))
    fault = growing.only_fault()
    assert (fault.file, fault.line) == (DAYS, line)
    assert problem in fault.problem
    assert fault.remedy
