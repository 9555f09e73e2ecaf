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

#: No slips of the sample's, but hints that a sound institution gets: archives nobody used for three years, which every
#: health centre has (else its share of archives in use would be all of them); reports of small numbers, which change by
#: a third from year to year (births of a month) or not at all (forty patients).
PLAUSIBLE = {"XFM-X-018", "RPT-R-051", "RPT-R-054"}
#: The same of small places: the few elders are all examined in half a year; a dose is five points of a rate;
#: and in one of thousands of honest patients blood pressure hardly varies by chance, which is a lead and no fault.
OF_SMALL_PLACES = {"RPT-R-052", "VAC-R-001", "AUT-A-022"}
CATALOGUE = load_catalogue(DEFAULT_RULES)
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
