"""Faulty cells as the lake will have them; recipes that come to the finding they are for."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, NamedTuple

import polars as pl
import pytest

from phqc_pipeline.catalogue import Catalogue, Context
from phqc_pipeline.extracts.cells import converter
from phqc_pipeline.sample.faults.cells import Cell, read
from phqc_pipeline.sample.faults.cross import cross_findings
from phqc_pipeline.sample.faults.proposals import check_digit
from phqc_pipeline.sample.faults.recipes import RECIPES, cook
from phqc_pipeline.sample.faults.truth import Finding, Truth, valid_numbers
from phqc_pipeline.sample.faults.work import Fault, Work
from phqc_pipeline.sample.report import report_rows
from tests.sample.conftest import CATALOGUE, PLAUSIBLE, Clean

SNAPSHOT = date(2024, 12, 31)


@pytest.mark.parametrize(
    ("form_id", "field", "written", "expected"),
    [
        ("htn_followup", "sbp", 128, Cell(128.0)),
        ("htn_followup", "sbp", "1O5", Cell(105.0, "1O5", "1O5")),  # repaired
        ("htn_followup", "sbp", "约105", Cell(None, "约105", "约105")),
        ("htn_followup", "sbp", "130.5", Cell(130.5, "130.5", "130.5")),
        ("htn_followup", "sbp", "未查", Cell(None, None, "未查")),
        ("htn_followup", "sbp", "-", Cell(None)),
        ("htn_followup", "weight_kg", "65.55", Cell(65.55, "65.55", "65.55")),
        ("htn_followup", "class_code", "控制满意", Cell("1")),
        ("htn_followup", "class_code", "9", Cell(None, "9", "9")),
        ("htn_followup", "symptom_codes", ["1", "2"], Cell(["1", "2"])),
        ("htn_followup", "symptom_codes", "1,88", Cell(None, "1,88", "1,88")),
        ("htn_followup", "visit_date", date(2024, 5, 1), Cell(date(2024, 5, 1))),
        ("htn_followup", "visit_date", "2024-02-30", Cell(None, "2024-02-30", "2024-02-30")),
        ("htn_followup", "created_at", date(2024, 5, 1), Cell(datetime(2024, 5, 1))),  # noqa: DTZ001
        ("htn_followup", "sign_other", " 水肿", Cell("水肿", " 水肿", " 水肿")),
        ("health_exam", "urine_protein", "-", Cell("1")),
        ("resident_profile", "past_disease_chd_date", "2015-06", Cell(date(2015, 6, 1))),
    ],
)
def test_a_cell_as_written(cat: Catalogue, form_id: str, field: str, written: Any, expected: Cell) -> None:
    assert read(written, cat.forms[form_id].field(field), cat) == expected


@pytest.mark.parametrize(
    "text",
    ["128", "1O5", "130.5", "未查", "-", "/", " 12 ", "偏高", "12..5", "-3", "[2]", "45322", "70kg", "2/3", "1.65"],
)
@pytest.mark.parametrize("field", ["sbp", "weight_kg", "sign_other", "class_code", "symptom_codes", "visit_date"])
def test_both_readings_agree(cat: Catalogue, field: str, text: str) -> None:
    """What is delivered verbatim is read by the pipeline as the answer key supposes."""
    column = cat.forms["htn_followup"].field(field)
    ours = read(text, column, cat)
    theirs = converter(column, cat.codes, repairs=cat.repairs)(pl.Series([text], dtype=pl.String))
    assert theirs.value.to_list() == [ours.value]
    assert theirs.raw.to_list() == [ours.raw]


def test_check_digits() -> None:
    assert check_digit("11010519491231002") == "X"
    assert check_digit("44052418800101001") == "4"


def test_valid_numbers() -> None:
    numbers = [
        "11010519491231002X",
        "110105194912310021",
        "11010519491331002X",
        "6.54301E+17",
        None,
        "11010519491231002x",
    ]
    assert valid_numbers(pl.Series(numbers, dtype=pl.String)).to_list() == [True, False, False, False, False, True]


CROSS = [rule_id for rule_id in RECIPES if rule_id not in ("HTN-L-019", "HTN-L-020", "DM-L-016", "EXM-L-035")]
#: What a town of this size holds too few of: people of ninety.
TOO_FEW_HERE = {"AUT-A-034"}
#: Rules whose fault cannot be had without another's.
ALSO: dict[str, set[str]] = {
    # A record twice is a case, a pregnancy, a dose twice; of one content, an examination or a visit copied.
    "COM-U-002": {"AUT-A-008", "INF-U-001", "PRG-U-001", "VAC-U-001"},
    "COM-U-003": {"COM-U-002", "AUT-A-008", "AUT-A-030", "INF-U-001", "PRG-U-001", "VAC-U-001"},
    "AUT-A-030": {"ELD-T-002", "ELD-T-003"},
    "ELD-T-002": {"AUT-A-030"},
    "HTN-L-018": {"AUT-A-008", "HTN-C-010", "HTN-L-023"},  # the first visit now, before any examination
    "AUT-A-023": {"HTN-L-023"},
    # Where a record is under a number nobody has, all that belongs to it is lacking.
    "XFM-X-005": {"INF-U-001", "SMI-T-001", "SMI-T-002", "SMI-X-001", "VAC-U-001"},
    "XFM-X-017": {"VAC-T-001", "VAC-T-002", "XFM-X-005"},
    "CHD-X-001": {"CHD-T-001"},
    "DM-T-001": {"DM-T-002"},
    "ELD-T-001": {"XFM-X-022"},
    # Body measures that change are off those of other forms.
    "HTN-X-003": {"XFM-X-006"},
    "XFM-X-006": {"HTN-X-003", "TCM-L-013"},
    "XFM-X-007": {"HTN-X-003", "TCM-L-013"},
    "XFM-X-009": {"HTN-X-004", "HTN-X-007"},
    "AUT-A-009": {"DM-T-006", "HTN-X-003", "XFM-X-006", "XFM-X-007", "XFM-X-008", "XFM-X-009"},
    # One question is part of another.
    "UNI-U-005": {"UNI-U-003"},
    "UNI-U-007": {"UNI-U-006"},
    "XFM-X-001": {"XFM-X-004"},
    "XFM-X-002": {"XFM-X-004"},
    "XFM-X-015": {"XFM-X-001"},
    "HTN-L-009": {"REF-X-001"},
    "HTN-X-008": {"EXM-C-018"},
    # Visits that another fault of the town moved to the end of the month (AUT-A-015), or gave one text (AUT-A-020).
    "REF-X-001": {"SMI-L-021"},
    **{rule_id: {"AUT-A-008"} for rule_id in ("TB-C-004", "TB-T-003", "TB-T-004")},
}


class Cooked(NamedTuple):
    """Clean institutions with a fault of every recipe in one of them: what was put in, what cross rules find there."""

    put_in: dict[tuple[str, str], int]  # rule, form → how many
    faults: list[Fault]
    found: list[Finding]
    beside: dict[str, set[str]]  # rule → the other rules that find something about the people its faults are put into


@pytest.fixture(scope="module")
def cooked(clean: Clean, cat: Catalogue) -> Cooked:
    """Recipes take people from each other: what finds nobody left in the first institution is put into a second."""
    wanted = [
        (rule_id, form_id)
        for rule_id in CROSS
        for form_id in cat.versions(rule_id)[-1].form_ids or cat.versions(rule_id)[-1].forms
        if form_id in cat.forms
    ]
    whole = Cooked({}, [], [], {})
    for _ in range(2):
        town = _town(clean)
        done: dict[tuple[str, str], int] = {}
        taken: dict[int, str] = {}  # person → the rule whose fault took them
        for rule_id, form_id in wanted:
            free = set(town.reserved)
            done[rule_id, form_id] = cook(town, cat.versions(rule_id)[-1], form_id, 1)
            taken |= dict.fromkeys(town.reserved - free, rule_id)
        report, _ = report_rows(town)
        found = cross_findings(Truth(town, Context.natural_year(SNAPSHOT), report, report))
        whole.put_in.update(done)
        whole.faults.extend(town.faults)
        whole.found.extend(found)
        for finding in found:
            rule_id = taken.get(_person_of(town, finding), finding.rule_id)
            whole.beside.setdefault(rule_id, set()).update({finding.rule_id} - {rule_id} - PLAUSIBLE)
        wanted = [one for one in wanted if not done[one]]
    return whole


def _town(clean: Clean) -> Work:
    made = clean(5000, 11, SNAPSHOT)
    frames = {form_id: rows.drop("_row") for form_id, rows in made.frames.items()}
    return Work(made.cat, made.institution, made.times, made.people, frames, made.institution.chance(3, "recipes"))


def _person_of(town: Work, finding: Finding) -> int:
    """Whom a finding is about; -1 of a doctor, an institution, a household or a stranger."""
    if finding.subject_kind not in ("person", "record"):
        return -1
    name = "archive_no" if finding.subject_kind == "person" else "record_id"
    rows = town.frames.get(finding.form_id)
    known = rows["_person"].filter(rows[name] == finding.subject_id) if rows is not None else []
    return int(known[0]) if len(known) else -1


@pytest.mark.parametrize("rule_id", CROSS)
def test_a_recipe_violates_its_rule_and_no_other_cross_rule(cooked: Cooked, rule_id: str) -> None:
    """Wherever it could be put in (a small form may hold nobody it fits), and for the subject the recipe says.

    Of the people a fault is put into nothing else is found but what it comes with.
    """
    forms = {form_id for (rule, form_id), faults in cooked.put_in.items() if rule == rule_id and faults}
    assert bool(forms) != (rule_id in TOO_FEW_HERE)
    assert cooked.beside.get(rule_id, set()) <= ALSO.get(rule_id, set())
    if next(rule for rule in CATALOGUE.rules if rule.rule_id == rule_id).statistical:
        return  # no judgement tells these: the night does (tests/end_to_end/test_answer_key.py)
    found = {(one.form_id, one.subject_id) for one in cooked.found if one.rule_id == rule_id}
    assert {form_id for form_id, _ in found} >= forms
    meant = {(one.form_id, one.subject) for one in cooked.faults if one.rule_id == rule_id and one.subject}
    assert meant <= found
