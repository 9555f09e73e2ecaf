"""Recipes for children, vaccination, mothers, disease cards and health education.

A recipe puts in one fault and returns it, or None when nobody fits.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta

from phqc_pipeline.catalogue import Rule
from phqc_pipeline.sample.faults.cross.child import months_old
from phqc_pipeline.sample.faults.recipes.kitchen import Kitchen, Recipe
from phqc_pipeline.sample.faults.work import Fault

_LIVE = "MMR"
#: Rule → the dose that is taken away.
_TAKEN = {"VAC-T-001": ("HEPB", 3), "VAC-T-003": ("MPSVAC", 2)}


def _of_person(kitchen: Kitchen, rule: Rule, form_id: str, person: int) -> Fault:
    kitchen.work.reserved.add(person)
    return Fault(rule.rule_id, form_id, rule.field, subject=kitchen.work.people["archive_no"][person])


def _booked_late(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    """The last period, and what follows from it, three weeks earlier."""
    earlier = timedelta(days=21)
    for row in kitchen.rows(form_id):
        if row["gest_weeks"] + 3 > rule.params["max_weeks"]:
            values = {
                "gest_weeks": row["gest_weeks"] + 3,
                "lmp_date": row["lmp_date"] - earlier,
                "edd_date": row["edd_date"] - earlier,
            }
            kitchen.work.edit(form_id, row["_row"], values)
            return _of_person(kitchen, rule, form_id, row["_person"])
    return None


def _day_differs(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    """The examination after six weeks tells the day after the delivery."""
    exam = "postpartum_42d"
    for person in kitchen.people(form_id):
        if kitchen.work.rows_of(exam, person).is_empty():
            continue
        row = kitchen.row(exam, person)
        kitchen.work.edit(exam, row["_row"], {"delivery_date": row["delivery_date"] + timedelta(days=1)})
        return _of_person(kitchen, rule, form_id, person)
    return None


def _contraindicated(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    """A card with a contraindication to a live vaccine that was given."""
    card_form = "vaccination_card"
    for person in kitchen.people(card_form):
        doses = kitchen.work.rows_of(form_id, person)
        live = doses.filter(doses["vaccine_code"] == _LIVE)
        if not live.is_empty():
            told = "先天性" + rule.params["contraindications"][-1]
            kitchen.work.edit(card_form, kitchen.row(card_form, person)["_row"], {"contraindication": told})
            kitchen.work.reserved.add(person)
            return Fault(rule.rule_id, form_id, rule.field, row=live["_row"][0])
    return None


def _dose_lost(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    """A child old enough loses the record of a dose."""
    vaccine, number = _TAKEN[rule.rule_id]
    doses_form = "vaccination_dose"
    for person in kitchen.people(form_id):
        row = kitchen.row(form_id, person)
        old = months_old(row["birth_date"], kitchen.work.times.snapshot)
        doses = kitchen.work.rows_of(doses_form, person)
        lost = doses.filter((doses["vaccine_code"] == vaccine) & (doses["dose_no"] == number))
        stays = row["archive_status"] == rule.params["active_status"] and row["moveout_date"] is None
        if old >= rule.params["min_age_months"] and stays and not lost.is_empty():
            kitchen.work.remove(doses_form, lost["_row"].to_list())
            return _of_person(kitchen, rule, form_id, person)
    return None


def _card_again(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    """A case reported once more two days later, on a card of its own."""
    for row in kitchen.rows(form_id):
        again = row["report_time"] + timedelta(days=2)
        if row["report_type_code"] == rule.params["correction"] or not row["patient_name"]:
            continue
        if again.date() < kitchen.work.times.snapshot - timedelta(days=3):
            kitchen.reserve(row)
            values = {
                "report_time": again,
                "card_no": f"{row['card_no'][:-1]}{(int(row['card_no'][-1]) + 5) % 10}",
                "created_at": row["created_at"] + timedelta(days=2, minutes=3),
                "updated_at": None,
                "updated_by": None,
            }
            kitchen.work.clone(form_id, row["_row"], values)
            kitchen.work.touched[form_id].add(row["_row"])
            return Fault(rule.rule_id, form_id, rule.field, row=row["_row"])
    return None


def _no_evidence(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    """A gathering of the year of which there is nothing but paper."""
    year: date = kitchen.work.times.snapshot
    for row in kitchen.rows(form_id):
        if row["activity_form"] in rule.params["gatherings"] and row["activity_date"].year == year.year:
            kitchen.work.edit(form_id, row["_row"], {"evidence_codes": ["1"]})
            return Fault(rule.rule_id, form_id, rule.field, subject=kitchen.work.institution.code)
    return None


#: In the order they are cooked: what the fewest people fit comes first.
RECIPES: Mapping[str, Recipe] = {
    "PRG-X-002": _day_differs,
    "PRG-T-001": _booked_late,
    "VAC-T-003": _dose_lost,
    "VAC-T-001": _dose_lost,
    "VAC-L-006": _contraindicated,
    "INF-U-001": _card_again,
    "HED-A-001": _no_evidence,
}
