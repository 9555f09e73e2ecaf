"""Recipes on records and archives made twice: under one number, on one day, of one content; two archives of a person.

Belongs here: copies of a record or of a profile. Does not belong here: visits of one content (``authenticity``).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

from phqc_pipeline.catalogue import Form, Rule
from phqc_pipeline.sample.calendar import to_date
from phqc_pipeline.sample.faults.proposals import check_digit
from phqc_pipeline.sample.faults.recipes.kitchen import Kitchen
from phqc_pipeline.sample.faults.recipes.patients import NO_HOUSEHOLD
from phqc_pipeline.sample.faults.work import Fault, Work

# A business column to tell two records of one day apart by, harmless to every rule.
_HARMLESS: Mapping[str, tuple[str, Any]] = {
    "resident_profile": ("work_unit", "个体经营户"),
    "chronic_registry": ("diagnosis_org", "阿勒泰市人民医院（复诊）"),
    "htn_followup": ("aux_exam", "血常规未见异常"),
    "t2dm_followup": ("aux_exam", "血常规未见异常"),
    "health_exam": ("pe_other", "未见特殊"),
    "elderly_self_care": ("institution_name", "镇卫生院门诊部"),
    "child_tcm": ("service_other", "现场示范捏脊"),
    "elderly_tcm": ("guide_pinghe_other", "食疗另行指导"),
}


# --- twins --------------------------------------------------------------------------------------------------------


def same_number(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    """An older version of a record under its number: the newer one is current, the older one superseded."""
    work = kitchen.work
    for row in kitchen.rows(form_id):
        if row["created_at"].date() >= work.times.snapshot - timedelta(days=20):
            continue
        kitchen.reserve(row)
        work.clone(form_id, row["_row"], {"updated_at": None, "updated_by": None}, new_number=False)
        work.touched[form_id].add(row["_row"])
        if row["updated_at"] is None:
            work.edit(form_id, row["_row"], {"updated_at": row["created_at"] + timedelta(days=2, minutes=7)})
        return Fault(rule.rule_id, form_id, rule.field, row=row["_row"])
    return None


def _twin(kitchen: Kitchen, rule: Rule, form_id: str, changed: Mapping[str, Any]) -> Fault | None:
    work = kitchen.work
    for person in (
        kitchen.lonely(fresh=True) or kitchen.lonely(fresh=False)
        if form_id == "resident_profile"
        else kitchen.people(form_id)
    ):
        row = kitchen.row(form_id, person)
        later = row["created_at"] + timedelta(minutes=37)
        if later.date() != row["created_at"].date():
            continue
        work.reserved.add(person)
        work.clone(form_id, row["_row"], {**changed, "created_at": later})
        work.touched[form_id].add(row["_row"])
        return Fault(rule.rule_id, form_id, rule.field, row=row["_row"])
    return None


def same_day(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    """A second record of one person and day that says something else."""
    if form_id == "elderly_self_care":
        return _other_score(kitchen, rule, form_id)
    told = _HARMLESS.get(form_id) or _harmless(kitchen.work.cat.forms[form_id])
    return _twin(kitchen, rule, form_id, dict([told])) if told else None


def _harmless(form: Form) -> tuple[str, str] | None:
    """A column of free text that may say anything, an optional one if there is any."""
    free = [
        one
        for one in form.fields
        if one.kind == "text"
        and one.business
        and not (one.codes or one.role or one.personal or one.other_of)
        and (one.length or 0) >= 20
    ]
    chosen = sorted(free, key=lambda one: one.required != "never")
    return (chosen[0].name, "详见纸质记录") if chosen else None


def _other_score(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    """A second assessment with another score of the same grade."""
    work = kitchen.work
    for person in kitchen.people(form_id):
        row = kitchen.row(form_id, person)
        if row["wash_score"] == 0 and row["total_score"] == 0:
            work.reserved.add(person)
            values = {"wash_score": 1.0, "total_score": 1.0, "created_at": row["created_at"] + timedelta(minutes=11)}
            work.clone(form_id, row["_row"], values)
            work.touched[form_id].add(row["_row"])
            return Fault(rule.rule_id, form_id, rule.field, row=row["_row"])
    return None


def same_content(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    """A record entered twice: everything alike but its number and the time of entry."""
    return _twin(kitchen, rule, form_id, {})


# --- archives -----------------------------------------------------------------------------------------------------


def two_archives(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    """A resident archived again, under another number."""
    work = kitchen.work
    for person in kitchen.lonely(fresh=False):
        row = kitchen.row(form_id, person)
        work.reserved.add(person)
        again = fresh_day(work)
        serial = 70000 + row["_row"] % 20000
        values = {
            "archive_no": row["archive_no"][:12] + f"{serial:05d}",
            **made_again(work, again),
        }
        if row["phone"] != "无":
            values["phone"] = next(work.phones)
        work.clone(form_id, row["_row"], values)
        work.touched[form_id].add(row["_row"])
        return Fault(rule.rule_id, form_id, rule.field, subject=row["archive_no"])
    return None


def two_numbers(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    """A second profile under one archive number, with another identity number of the same birth day and sex."""
    work = kitchen.work
    for person in kitchen.lonely(fresh=True) or kitchen.lonely(fresh=False):
        row = kitchen.row(form_id, person)
        again = fresh_day(work)
        if again == row["archive_date"] or again <= row["birth_date"]:
            continue
        work.reserved.add(person)
        values = {
            "id_card_no": other_number(row["id_card_no"]),
            **made_again(work, again),
        }
        work.clone(form_id, row["_row"], values)
        work.touched[form_id].add(row["_row"])
        return Fault(rule.rule_id, form_id, rule.field, subject=row["archive_no"])
    return None


def made_again(work: Work, day: date) -> dict[str, Any]:
    """What a profile entered anew on a day says of that, and what it does not take over."""
    gone = dict.fromkeys(("updated_at", "updated_by", "sign_date", "sign_team"))
    return {"archive_date": day, "created_at": work.entered(day), **gone, **NO_HOUSEHOLD}


def other_number(number: str) -> str:
    """An identity number of somebody else of the same birth day and sex, from another county."""
    body = "654226" + number[6:14] + f"{(int(number[14:17]) + 2) % 1000:03d}"
    return body + check_digit(body)


def fresh_day(work: Work) -> date:
    """A day after the basis year on which an archive may be made, so that the year's count stays as it is."""
    span = work.times.today - work.times.basis_end
    return to_date(work.times.basis_end + work.chance.whole(span // 3, max(span - 20, span // 3)))


def shared_phone(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    """One telephone for more archives than a household has."""
    work = kitchen.work
    count = int(rule.params.get("max_count", 5)) + 2
    age, phone = work.people["age"].to_list(), work.people["phone"].to_list()
    found = [person for person in kitchen.lonely(fresh=False) if phone[person] != "无" and age[person] >= 18][:count]
    if len(found) < count:
        return None
    number = next(work.phones)
    for person in found:
        work.reserved.add(person)
        work.edit(form_id, kitchen.row(form_id, person)["_row"], {"phone": number})
    return Fault(rule.rule_id, form_id, rule.field, subject=work.people["archive_no"][found[0]])
