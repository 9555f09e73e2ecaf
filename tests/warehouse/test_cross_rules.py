"""Every cross rule on people made for it: exactly the findings it should give, and none beside.

All cases live in one home, each with people of its own, so that dbt runs once. A case names every cross finding its
people may have; what it does not name must not be there.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

import polars as pl
import pytest

from phqc_pipeline.catalogue import Catalogue, Context, load_catalogue
from phqc_pipeline.home import DEFAULT_RULES, Home
from phqc_pipeline.warehouse import run_cross, stage

from .scenarios import read_scenarios
from .small_lake import Delivery, deliver, deliver_report

TODAY = date(2024, 12, 31)
HERE, THERE = "654301100", "654301101"  # two institutions
PROFILE, EXAM, HTN, DM = "resident_profile", "health_exam", "htn_followup", "t2dm_followup"
REGISTRY, SELF_CARE = "chronic_registry", "elderly_self_care"


class Found(NamedTuple):
    """A finding as far as a case names it."""

    rule_id: str
    subject_id: str
    institution: str = HERE
    observed: str | None = None
    expected: str | None = None


class Town:
    """Collects the rows of all cases. Everybody is well unless a case says otherwise."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
        self.reports: dict[str, list[tuple[int, str, str, float | None]]] = defaultdict(list)
        self._number = 0

    def person(self, institution: str = HERE, *, with_profile: bool = True, **profile: Any) -> str:
        """A new archive number, with a profile of its own."""
        self._number += 1
        archive_no = f"{institution}001{self._number:05d}"
        if with_profile:
            self.profile(archive_no, institution, **profile)
        return archive_no

    def profile(self, archive_no: str, institution: str = HERE, **given: Any) -> str:
        number = int(archive_no[-5:])
        row = {
            "archive_no": archive_no,
            "person_name": f"甲{number}",
            "sex_code": "1",
            "birth_date": "1980-05-01",
            "id_card_no": id_number(number),
            "phone": f"138{number:08d}",
            "archive_date": "2010-03-01",
            **given,
        }
        return self.add(PROFILE, institution, **row)

    def add(self, form_id: str, institution: str = HERE, **row: Any) -> str:
        """One record, entered at a minute of its own; its number."""
        self._number += 1
        record_id = row.pop("record_id", f"R{self._number:06d}")
        entered = at("2024-01-01 08:01") + timedelta(minutes=self._number)
        self.rows[form_id, institution].append(
            {"record_id": record_id, "doctor_name": "李医生", "created_at": entered, **row}
        )
        return str(record_id)

    def visits(self, form_id: str, archive_no: str, days: str, institution: str = HERE, **row: Any) -> list[str]:
        """Follow-ups face to face, controlled, on these days (``0105 0401`` of 2024, or whole dates)."""
        found = []
        for number, day in enumerate(days.split()):
            whole = day if "-" in day else f"2024-{day[:2]}-{day[2:]}"
            values = {
                "sbp": 120 + number,
                "dbp": 75 + number,
                "weight_kg": 60.0,
                "class_code": "1",
                "fbg": 5.1 + number,
            }
            if form_id == HTN:
                values.pop("fbg")
            cells = {"archive_no": archive_no, "visit_date": whole, "visit_mode_code": "1", **values, **row}
            found.append(self.add(form_id, institution, **cells))
        return found

    def register(self, archive_no: str, disease: str, institution: str = HERE, **row: Any) -> str:
        cells = {"diagnosis_date": "2015-01-01", "register_date": "2016-01-01", "manage_status": "1", **row}
        return self.add(REGISTRY, institution, archive_no=archive_no, disease=disease, **cells)


def id_number(number: int) -> str:
    """A made-up identity number right in structure and check digit."""
    body = f"65430119800501{number % 1000:03d}"
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    return body + "10X98765432"[sum(int(d) * w for d, w in zip(body, weights, strict=True)) % 11]


def at(moment: str) -> datetime:
    """A moment in the warehouse's own clock, which has no zone."""
    return datetime.fromisoformat(moment)


Case = Callable[[Town], list[Found]]
CASES: dict[str, Case] = {}


def case(build: Case) -> Case:
    CASES[build.__name__] = build
    return build


QUARTERLY = "0110 0410 0710 1010"


@case
def four_visits_are_enough(town: Town) -> list[Found]:
    who = town.person()
    town.register(who, "HTN")
    town.visits(HTN, who, QUARTERLY)
    return []


@case
def a_telephone_visit_and_a_second_one_the_same_day_do_not_count(town: Town) -> list[Found]:
    who = town.person()
    town.register(who, "HTN")
    town.visits(HTN, who, "0110 0410 0710")
    town.visits(HTN, who, "1010", visit_mode_code="3")
    return [Found("HTN-T-001", who, HERE, "3", "4")]


@case
def visits_are_due_by_the_days_in_management(town: Town) -> list[Found]:
    half = town.person()  # registered on 1 July: 184 days of 366, two visits due
    town.register(half, "T2DM", register_date="2024-07-01", diagnosis_date="2024-06-01")
    town.visits(DM, half, "0801 1101")
    short = town.person()
    town.register(short, "T2DM", register_date="2024-07-01", diagnosis_date="2024-06-01")
    town.visits(DM, short, "0801")
    new = town.person()  # registered in the last quarter: 92 days, one visit due
    town.register(new, "T2DM", register_date="2024-10-01", diagnosis_date="2024-06-01")
    return [Found("DM-T-001", short, HERE, "1", "2"), Found("DM-T-001", new, HERE, "0", "1")]


@case
def an_ended_management_is_due_only_until_its_end(town: Town) -> list[Found]:
    ended = town.person()  # ended by date on 30 June: 182 days, one visit due
    town.register(ended, "HTN", manage_status="3", end_date="2024-06-30")
    undated = town.person()  # ended without a date: nothing due
    town.register(undated, "HTN", manage_status="6")
    died = town.person(archive_status="3", archive_status_date="2024-06-30")  # the archive's date stands for it
    town.register(died, "HTN", archive_status="3", archive_status_date="2024-06-30")
    lost = town.person(archive_status="4")
    town.register(lost, "HTN", archive_status="4")
    return [Found("HTN-T-001", ended, HERE, "0", "1"), Found("HTN-T-001", died, HERE, "0", "1")]


@case
def registrations_of_one_disease_are_merged_day_by_day(town: Town) -> list[Found]:
    """Two spans that overlap: 2024-01-01 to 06-30 and 2024-04-01 to 2024-09-30 are 274 days, two visits due."""
    who = town.person()
    town.register(who, "HTN", manage_status="4", end_date="2024-06-30")
    town.register(who, "HTN", register_date="2024-04-01", manage_status="4", end_date="2024-09-30")
    town.visits(HTN, who, "0110")
    return [Found("HTN-T-001", who, HERE, "1", "2")]


@case
def visits_at_another_institution_and_before_the_registration_count(town: Town) -> list[Found]:
    who = town.person()
    town.register(who, "HTN", register_date="2024-02-01", diagnosis_date="2024-01-01")
    town.visits(HTN, who, "0110 0410")
    town.visits(HTN, who, "0710", THERE)
    return []  # 335 days: three due


@case
def a_gap_of_more_than_a_hundred_days(town: Town) -> list[Found]:
    edge = town.person()  # 10 January to 19 April 2024: exactly 100 days
    town.visits(HTN, edge, "0110 0419 0719")
    wide = town.person()
    town.visits(HTN, wide, "0110 0420 0719")
    before = town.person()  # the gap to last year's visit is none of this year's
    town.visits(HTN, before, "2023-06-01 2024-01-10 2024-04-01")
    elsewhere = town.person()  # the later visit's institution has the finding
    town.visits(HTN, elsewhere, "0110")
    town.visits(HTN, elsewhere, "0601", THERE, sbp=125)
    return [Found("HTN-T-003", wide, HERE, "101"), Found("HTN-T-003", elsewhere, THERE, "143")]


@case
def two_uncontrolled_visits_in_a_row_ask_for_a_referral(town: Town) -> list[Found]:
    plain = town.person()
    town.visits(HTN, plain, "0301 0315", class_code="2")
    referred = town.person()
    town.visits(HTN, referred, "0301", class_code="2")
    town.visits(HTN, referred, "0315", class_code="3", referral_reason="血压控制不佳", sbp=130)
    between = town.person()  # a controlled visit lies between
    town.visits(HTN, between, "0301", class_code="2")
    town.visits(HTN, between, "0310", class_code="1", sbp=130)
    town.visits(HTN, between, "0320", class_code="2", sbp=131)
    complications = town.person()  # 并发症 is not one of the two
    town.visits(DM, complications, "0301 0315", class_code="4")
    diabetic = town.person()
    town.visits(DM, diabetic, "0301", class_code="3")
    town.visits(DM, diabetic, "0315", class_code="2", sbp=130)
    return [Found("HTN-L-008", plain), Found("DM-L-010", diabetic)]


@case
def of_two_visits_on_one_day_the_last_entered_stands(town: Town) -> list[Found]:
    who = town.person()
    town.visits(HTN, who, "0301", class_code="2")
    first, last = at("2024-03-15 09:00"), at("2024-03-15 10:00")
    a = town.visits(HTN, who, "0315", class_code="2", created_at=first, sbp=130)
    b = town.visits(HTN, who, "0315", class_code="1", created_at=last, sbp=131)
    return [Found("COM-U-002", *a), Found("COM-U-002", *b)]


@case
def the_earlier_visit_may_lie_in_the_year_before(town: Town) -> list[Found]:
    who = town.person()
    town.visits(HTN, who, "2023-12-20 2024-01-03", class_code="2")
    old = town.person()  # both before the period
    town.visits(HTN, old, "2023-11-20 2023-12-03", class_code="2")
    far = town.person()  # the earlier more than 366 days before the period's first day
    town.visits(HTN, far, "2022-12-30 2024-01-03", class_code="2")
    return [Found("HTN-L-008", who)]


@case
def a_visit_before_the_first_diagnosis(town: Town) -> list[Found]:
    who = town.person()
    town.register(who, "HTN", diagnosis_date="2024-02-15", register_date="2024-03-01")
    early, _, _, _ = town.visits(HTN, who, "0214 0215 0501 0801")
    return [Found("HTN-L-018", early)]


@case
def two_forms_of_one_day_disagree(town: Town) -> list[Found]:
    who = town.person()
    town.visits(HTN, who, "0301", sbp=150)
    town.visits(DM, who, "0301", sbp=140)
    alike = town.person()
    town.visits(HTN, alike, "0301")
    town.visits(DM, alike, "0301")
    half = town.person()  # a missing weight is no disagreement
    town.visits(HTN, half, "0301", weight_kg=None)
    town.visits(DM, half, "0301")
    return [Found("HTN-X-007", who)]


@case
def one_record_number_used_twice(town: Town) -> list[Found]:
    who = town.person()
    town.visits(HTN, who, "0301", record_id="TWICE", sbp=140, updated_at="2024-03-02 08:00:00")
    town.visits(HTN, who, "0302", record_id="TWICE", sbp=141, updated_at="2024-03-01 08:00:00")
    void = town.person()  # the current row is void: the whole group is not judged
    town.visits(HTN, void, "0301", record_id="VOID", sbp=140, updated_at="2024-03-01 08:00:00")
    town.visits(HTN, void, "0301", record_id="VOID", sbp=141, updated_at="2024-03-05 08:00:00", record_status="3")
    # the same number at another institution is another record
    town.visits(HTN, who, "0401", THERE, record_id="TWICE", sbp=142)
    return [Found("COM-U-001", "TWICE", HERE, "2")]


@case
def two_records_of_one_person_and_day(town: Town) -> list[Found]:
    who = town.person()
    a = town.add(EXAM, archive_no=who, exam_date="2024-05-05", height_cm=170)
    b = town.add(EXAM, THERE, archive_no=who, exam_date="2024-05-05", height_cm=171)
    town.register(who, "COPD")
    town.register(who, "TB")  # another disease on the same day is another record
    return [Found("COM-U-002", a, HERE, "2"), Found("COM-U-002", b, THERE, "2")]


@case
def a_draft_makes_no_duplicate(town: Town) -> list[Found]:
    who = town.person()
    town.add(EXAM, archive_no=who, exam_date="2024-05-05", height_cm=170)
    town.add(EXAM, archive_no=who, exam_date="2024-05-05", height_cm=170, record_status="2")
    return []


@case
def two_records_alike_in_everything_but_their_numbers(town: Town) -> list[Found]:
    who = town.person()
    a, b = (town.add(EXAM, archive_no=who, exam_date="2024-06-05", height_cm=170) for _ in range(2))
    return [Found(rule, record, HERE, "2") for rule in ("COM-U-002", "COM-U-003") for record in (a, b)]


@case
def one_identity_number_on_two_archives(town: Town) -> list[Found]:
    shared = id_number(901)
    a = town.person(id_card_no=shared)
    b = town.person(THERE, id_card_no=shared)
    town.person(id_card_no=shared, archive_status="2", archive_status_date="2020-01-01")  # not active: not compared
    wrong = shared[:17] + ("0" if shared[17] != "0" else "1")
    town.person(id_card_no=wrong)
    town.person(id_card_no=wrong)  # a wrong check digit tells nothing
    return [Found("UNI-U-001", a, HERE, "2"), Found("UNI-U-001", b, THERE, "2")]


@case
def two_identity_numbers_on_one_archive(town: Town) -> list[Found]:
    who = town.person()
    town.profile(who, THERE, id_card_no=id_number(902), archive_date="2011-01-01")
    return [Found("UNI-U-002", who, HERE, "2"), Found("UNI-U-002", who, THERE, "2")]


@case
def one_telephone_on_six_archives(town: Town) -> list[Found]:
    for _ in range(5):
        town.person(phone="13911112222")
    six = [town.person(phone="13911113333") for _ in range(6)]
    for _ in range(6):
        town.person(phone="无")
    return [Found("UNI-U-006", who, HERE, "6") for who in six]


@case
def identity_items_that_differ_between_forms(town: Town) -> list[Found]:
    sex = town.person()
    town.visits(HTN, sex, "0301", sex_code="2")
    born = town.person()
    town.visits(HTN, born, "0301", birth_date="1980-05-02")
    name = town.person(person_name="阿依古丽·买买提")
    town.visits(HTN, name, "0301", person_name="阿依古丽买提")
    spelt = town.person(person_name="阿依古丽·买买提")  # another dot and a space are the same name
    town.visits(HTN, spelt, "0301", person_name="阿依古丽•买买提 ")
    alone = town.person(sex_code=None)  # one form alone cannot differ from another
    town.visits(HTN, alone, "0301", sex_code="1")
    town.visits(HTN, alone, "0401", sex_code="2", sbp=130)
    elsewhere = town.person()  # any form of a person counts, without being named in the rule
    town.add("reception_record", archive_no=elsewhere, visit_date="2024-03-01", sex_code="2")
    differ = [Found("XFM-X-001", who) for who in (sex, elsewhere)]
    return [*differ, Found("XFM-X-002", born), Found("XFM-X-003", name)]


@case
def a_service_record_without_a_profile(town: Town) -> list[Found]:
    who = town.person(with_profile=False)
    lone = town.visits(HTN, who, "0301")
    short = "12345"  # no archive number at all: another rule's business
    town.add(HTN, archive_no=short, visit_date="2024-03-01")
    drafted = town.person(record_status="2")  # the profile takes no part
    behind = town.visits(HTN, drafted, "0301")
    across = town.person(THERE)
    town.visits(HTN, across, "0301")
    return [Found("XFM-X-005", *lone), Found("XFM-X-005", *behind)]


@case
def service_after_the_archive_ended(town: Town) -> list[Found]:
    dead = town.person(archive_status="3", archive_status_date="2024-02-01")
    town.visits(HTN, dead, "0110 0301")
    same_day = town.person(archive_status="2", archive_status_date="2024-03-01")
    town.visits(HTN, same_day, "0301")
    gone = town.person(archive_status="4", archive_status_date="2024-02-01")
    town.add("referral_out", archive_no=gone, referral_date="2024-03-01")
    carded = town.person(archive_status="4", archive_status_date="2024-02-01")  # to be given a card is no service
    town.add("vaccination_card", archive_no=carded, card_date="2024-03-01")
    return [Found("XFM-X-019", who) for who in (dead, gone)]


@case
def an_elder_without_the_years_examination(town: Town) -> list[Found]:
    old = {"birth_date": "1959-12-31"}  # turns 65 on the period's last day
    lacking = town.person(**old)
    town.add(EXAM, archive_no=lacking, exam_date="2023-12-31", birth_date="1959-12-31")
    examined = town.person(**old)
    town.add(EXAM, archive_no=examined, exam_date="2024-01-01", birth_date="1959-12-31")
    town.add(SELF_CARE, archive_no=examined, assess_date="2024-02-01")
    unassessed = town.person(**old)
    town.add(EXAM, archive_no=unassessed, exam_date="2024-05-01", birth_date="1959-12-31")
    town.person(birth_date="1960-01-01")  # turns 65 next year
    town.person(**old, archive_status="2", archive_status_date="2024-03-01")
    town.person(**old, archive_date="2024-01-02")  # not in the archive for the whole year
    return [Found("ELD-T-001", lacking), Found("ELD-C-001", unassessed)]


@case
def three_visits_with_exactly_the_same_values(town: Town) -> list[Found]:
    same = {"sbp": 138, "dbp": 82, "weight_kg": 66.0}
    who = town.person()
    town.visits(HTN, who, "0110 0410 0710", **same)
    twice = town.person()
    town.visits(HTN, twice, "0110 0410", **same)
    broken = town.person()
    town.visits(HTN, broken, "0110 0410", **same)
    town.visits(HTN, broken, "0510", sbp=139, dbp=82, weight_kg=66.0)
    town.visits(HTN, broken, "0710", **same)
    sugar = town.person()
    town.visits(DM, sugar, "0110 0410 0710", **same)  # fbg differs from visit to visit
    return [Found("AUT-A-006", who, HERE)]


@case
def many_records_entered_in_one_minute(town: Town) -> list[Found]:
    minute = at("2024-06-06 17:30")
    for second in range(6):
        town.visits(HTN, town.person(), "0606", doctor_name="快医生", created_at=minute + timedelta(seconds=second))
    for second in range(5):
        town.visits(HTN, town.person(), "0606", doctor_name="稳医生", created_at=minute + timedelta(seconds=second))
    for _ in range(6):  # midnight is a date without a time
        town.visits(HTN, town.person(), "0606", doctor_name="日医生", created_at=at("2024-06-06 00:00"))
    return [Found("AUT-A-012", "快医生")]


@case
def reported_figures(town: Town) -> list[Found]:
    """THERE reports more electronic archives than archives; HERE reports what no record bears out."""
    town.reports[THERE] = [(2023, "Y", "ehr_electronic", 9.0), (2023, "Y", "ehr_archive", 8.0)]
    town.reports[HERE] = [(2023, "Y", "ehr_electronic", 1.0), (2023, "Y", "ehr_archive", 1.0)]
    return [
        Found("RPT-R-002", HERE, HERE, "1"),
        Found("RPT-R-002", THERE, THERE, "9"),
        Found("RPT-R-030", THERE, THERE, "9", "≤8"),
    ]


class Outcome(NamedTuple):
    town: Town
    expected: dict[str, list[Found]]
    findings: pl.DataFrame
    results: pl.DataFrame
    owners: dict[str, str]  # subject → case


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return load_catalogue(DEFAULT_RULES)


@pytest.fixture(scope="module")
def outcome(catalogue: Catalogue, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    home = Home(tmp_path_factory.mktemp("town"))
    town, expected, owners = Town(), {}, {}
    for name, build in CASES.items():
        before = {key: len(rows) for key, rows in town.rows.items()}
        expected[name] = build(town)
        for key, rows in town.rows.items():
            for row in rows[before.get(key, 0) :]:
                owners[str(row["archive_no"])] = owners[str(row["record_id"])] = name
                if row["doctor_name"] != "李医生":
                    owners[str(row["doctor_name"])] = name
    owners.update({HERE: "reported_figures", THERE: "reported_figures"})
    return _judge(home, catalogue, town, expected, owners)


def _judge(
    home: Home, catalogue: Catalogue, town: Town, expected: dict[str, list[Found]], owners: dict[str, str]
) -> Outcome:
    deliveries: list[Delivery] = [
        deliver(home, catalogue, form_id, institution, rows, day=TODAY)
        for (form_id, institution), rows in town.rows.items()
    ]
    present = {(one.institution_code, one.form_id) for one in deliveries}
    for institution in (HERE, THERE):
        for form_id in catalogue.forms:
            if (institution, form_id) not in present:
                deliveries.append(deliver(home, catalogue, form_id, institution, [], day=TODAY))
    deliveries += [deliver_report(home, code, cells, day=TODAY) for code, cells in town.reports.items()]
    asked = {one.rule_id for cases in expected.values() for one in cases}
    ctx, scheme = Context.natural_year(TODAY), replace(catalogue.schemes["default"], rules=tuple(sorted(asked)))
    manifest = stage(home, catalogue, deliveries, ctx, scheme=scheme)  # type: ignore[arg-type]
    out = home.warehouse / "cross"
    judged, run = run_cross(home, catalogue, deliveries, ctx, out, scheme=scheme, manifest=manifest)  # type: ignore[arg-type]
    assert judged.errors == ()
    assert run.failed() == []
    findings, results = pl.read_parquet(out / "findings.parquet"), pl.read_parquet(out / "results.parquet")
    return Outcome(town, expected, findings, results, owners)


@pytest.mark.parametrize("name", CASES)
def test_exactly_the_findings_of_the_case(outcome: Outcome, name: str) -> None:
    found = {
        (row["rule_id"], row["subject_id"], row["institution_code"]): row
        for row in outcome.findings.iter_rows(named=True)
        if outcome.owners[row["subject_id"]] == name
    }
    expected = {(one.rule_id, one.subject_id, one.institution): one for one in outcome.expected[name]}
    assert set(found) == set(expected)
    for key, one in expected.items():
        for column in ("observed", "expected"):
            if getattr(one, column) is not None:
                assert found[key][column] == getattr(one, column), (key, column)


def test_every_cross_rule_of_the_catalogue_has_a_case(catalogue: Catalogue, outcome: Outcome) -> None:
    """But for statistics of a doctor's or an institution's whole year (test_authenticity) and data nobody delivers."""
    carried = {
        rule.rule_id
        for rule in catalogue.rules
        if rule.carrier == "dbt"
        and not (rule.needs or rule.statistical or (rule.dimension == "真实性" and rule.grain in ("doc", "inst")))
    }
    here = {one.rule_id for found in outcome.expected.values() for one in found}
    there = {entry["rule"] for one in read_scenarios() for entry in one.entry.get("expect") or ()}
    in_answer_key = {"RPT-R-009", "UNI-U-007"}  # only the founding sample shows them (end_to_end/test_answer_key)
    assert carried - here - there - in_answer_key == set()


def test_results_count_what_was_found(outcome: Outcome) -> None:
    counted = outcome.findings.group_by("institution_code", "form_id", "rule_id").len("found")
    results = outcome.results.join(counted, on=["institution_code", "form_id", "rule_id"], how="left")
    assert results.filter(pl.col("violated") != pl.col("found").fill_null(0)).is_empty()
    assert results.filter(pl.col("applicable") > pl.col("checked")).is_empty()
    assert set(results["status"]) <= {"pass", "fail", "not_applicable"}


def test_findings_hide_personal_data(outcome: Outcome) -> None:
    told = " ".join(
        str(value)
        for column in ("observed", "expected", "message", "suggestion")
        for value in outcome.findings[column].drop_nulls()
    )
    for rows in outcome.town.rows.values():
        for row in rows:
            for item in ("person_name", "id_card_no", "phone"):
                value = row.get(item)
                assert not value or value == "无" or str(value) not in told
