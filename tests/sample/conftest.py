"""The catalogue of the project, and clean institutions made from it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import polars as pl
import pytest

from phqc_pipeline.catalogue import Catalogue, Context, load_catalogue
from phqc_pipeline.home import DEFAULT_RULES, Home
from phqc_pipeline.sample.calendar import times_for
from phqc_pipeline.sample.faults.judge import judge_of
from phqc_pipeline.sample.faults.work import Work
from phqc_pipeline.sample.places import found_institutions
from phqc_pipeline.sample.write import _Maker

#: No slips of the sample's: archives nobody uses, which every health centre has; and leads for verification that honest
#: records give now and then: visits of one content where a form asks little (TB), equal intervals, two entries soon
#: after each other from places far apart; reported figures that rise and fall from one period to the next.
PLAUSIBLE = {"XFM-X-018", "AUT-A-008", "AUT-A-016", "AUT-A-032", "RPT-R-050", "RPT-R-051", "RPT-R-052", "RPT-R-054"}
#: Rules no fault of the sample stands for. Statistical ones; those on data nobody delivers; what takes a doctor's or an
#: institution's whole year to make up (tests/warehouse/test_authenticity.py); what one institution cannot show, and
#: counts that the sample's own records never fall short of. All of these are shown by tests/scenarios.
CATALOGUE = load_catalogue(DEFAULT_RULES)
MADE_OF_MANY = {
    rule.rule_id
    for rule in CATALOGUE.rules
    if rule.statistical or rule.needs or (rule.dimension == "真实性" and rule.grain in ("doc", "inst"))
} | {
    *("COM-F-016", "COM-T-004", "UNI-U-009", "UNI-U-010", "CHD-A-001", "CHD-X-001", "PRG-X-001", "SUP-T-002"),
    *(f"HED-T-00{number}" for number in range(1, 6)),
    *("VAC-L-005", "VAC-R-001"),
}
Clean = Callable[[int, int, date], Work]


@pytest.fixture(scope="session")
def cat() -> Catalogue:
    return load_catalogue(DEFAULT_RULES)


@pytest.fixture(scope="session")
def clean(cat: Catalogue, tmp_path_factory: pytest.TempPathFactory) -> Clean:
    """``clean(residents, seed, snapshot)``: one institution's records before any fault, made once for each."""
    made: dict[tuple[int, int, date], Work] = {}

    def make(residents: int, seed: int, snapshot: date) -> Work:
        if (residents, seed, snapshot) not in made:
            maker = _Maker(Home(tmp_path_factory.mktemp("home")), cat, times_for(snapshot), seed, lambda message: None)
            made[residents, seed, snapshot] = maker._clean(found_institutions(1, [residents], seed)[0])
        return made[residents, seed, snapshot]

    return make


def broken_checks(work: Work, snapshot: date) -> list[str]:
    """What record rules find in all records of an institution: ``rule form field``, each once."""
    judge = judge_of(work.cat, Context.natural_year(snapshot))
    found: set[str] = set()
    for form_id, rows in work.frames.items():
        # The quicker rendering: that both find the same is tested with the language, and by every answer key.
        for violated in judge.violations_tried(work.cat.forms[form_id], work.lake_rows(form_id, rows)):
            for n in violated:
                check = judge.checks[form_id][n]
                found.add(f"{check.rule.rule_id} {form_id} {check.field}")
    return sorted(found)


def column(work: Work, form_id: str, name: str) -> pl.Series:
    return work.frames[form_id][name]
