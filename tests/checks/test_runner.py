"""The runner: statuses and counts, failures that cost only themselves, batches that change nothing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phqc_pipeline.catalogue import Catalogue, Context, Form, RuleCheck
from phqc_pipeline.checks import NOT_RECEIVED, RESULT_SCHEMA, schemas
from tests.checks.lake_frames import TODAY, Night, delivered, judge, made_up, records
from tests.checks.visit_catalogue import small_catalogue

GOOD: dict[str, Any] = {
    "record_id": "R1",
    "archive_no": "65430110110100001",
    "person_name": "张三",
    "birth_date": date(1950, 1, 1),
    "institution_code": "A",
    "doctor_name": "李医生",
    "record_status": "1",
    "visit_date": date(2024, 5, 1),
    "sbp": 120.0,
    "dbp": 80.0,
}
KEYS = ("institution_code", "rule_id", "rule_version", "field", "subject_id")


def _night(cat: Catalogue, form: Form, lake: Path, *rows: dict[str, Any], **options: Any) -> Night:
    frame = records(form, *({**GOOD, "record_id": f"R{number}", **row} for number, row in enumerate(rows)))
    delivery = delivered(lake, form, "A", frame, missing=options.pop("missing", ()))
    return judge(cat, [delivery], lake / "out", **options)


def test_a_good_record_violates_nothing(cat: Catalogue, visit: Form, lake: Path) -> None:
    night = _night(cat, visit, lake, {}, forms=["visit"])
    assert night.findings.is_empty()
    assert set(night.results["status"]) == {"pass"}
    assert night.results.schema == pl.Schema(RESULT_SCHEMA)


def test_checked_applicable_violated(cat: Catalogue, visit: Form, lake: Path) -> None:
    night = _night(cat, visit, lake, {}, {"sbp": 70.0}, {"sbp": None}, {"birth_date": date(2010, 1, 1)})
    counts = {name: night.result("VIS-L-001", "sbp")[name] for name in ("checked", "applicable", "violated", "status")}
    assert counts == {"checked": 4, "applicable": 2, "violated": 1, "status": "fail"}


@pytest.mark.parametrize(
    ("row", "status"),
    [({}, "pass"), ({"sbp": 70.0}, "fail"), ({"sbp": None}, "not_applicable")],
)
def test_status(cat: Catalogue, visit: Form, lake: Path, row: dict[str, Any], status: str) -> None:
    assert _night(cat, visit, lake, row).status("VIS-L-001", "sbp") == status


def test_a_missing_required_column_makes_its_rules_not_evaluable(cat: Catalogue, visit: Form, lake: Path) -> None:
    night = _night(cat, visit, lake, {"sbp": None}, missing=["sbp", "weight_kg", "record_status"])
    for rule_id, field in (("VIS-L-001", "sbp"), ("COM-C-013", "sbp"), ("COM-F-014", "sbp")):
        found = night.result(rule_id, field)
        assert (found["status"], found["checked"], found["reason"]) == ("not_evaluable", 0, "缺少列：收缩压（sbp）")
    assert night.findings.is_empty()
    assert night.status("COM-C-013", "dbp") == "pass"
    assert night.status("COM-F-014", "weight_kg") == "pass", "an optional column that is missing reads as empty"


def test_institutions_that_lack_different_columns_keep_apart(cat: Catalogue, visit: Form, lake: Path) -> None:
    row = {**GOOD, "sbp": None, "dbp": None}
    deliveries = [
        delivered(lake, visit, name, records(visit, row), missing=missing)
        for name, missing in (("A", ["sbp"]), ("B", []), ("C", ["dbp"]), ("D", []))
    ]
    night = judge(cat, deliveries, lake / "out")
    assert {name: night.status("COM-C-013", "sbp", name) for name in "ABCD"} == {
        "A": "not_evaluable",
        "B": "fail",
        "C": "fail",
        "D": "fail",
    }
    assert night.violations("institution_code", "field") == [
        ("A", "dbp"),
        ("B", "dbp"),
        ("B", "sbp"),
        ("C", "sbp"),
        ("D", "dbp"),
        ("D", "sbp"),
    ]


def test_a_form_never_received(cat: Catalogue, visit: Form, lake: Path) -> None:
    delivery = delivered(lake, visit, "A", records(visit, GOOD))
    night = judge(cat, [delivery], lake / "out", institutions=["A", "B"], forms=["visit"])
    theirs = night.results.filter(institution_code="B")
    assert theirs.height == len({(check.rule.rule_id, check.field) for check in cat.checks("visit")})
    assert set(theirs.select("status", "reason").iter_rows()) == {("not_evaluable", NOT_RECEIVED)}
    assert night.judgement.records_judged == 1


def test_an_empty_file_was_received(cat: Catalogue, visit: Form, lake: Path) -> None:
    night = judge(cat, [delivered(lake, visit, "A", records(visit))], lake / "out", forms=["visit"])
    assert set(night.results["status"]) == {"not_applicable"}


def test_each_version_judges_its_own_time(cat: Catalogue, visit: Form, lake: Path) -> None:
    rows = [
        {"sbp": 150.0, "visit_date": date(2019, 12, 31)},
        {"sbp": 160.0, "visit_date": date(2019, 12, 31)},
        {"sbp": 139.0, "visit_date": date(2020, 1, 1)},
        {"sbp": 140.0, "visit_date": date(2020, 1, 1)},
        {"sbp": 150.0, "visit_date": None},
    ]
    night = _night(cat, visit, lake, *rows)
    found = night.findings.filter(rule_id="VIS-L-002").sort("record_id")
    assert found.select("record_id", "rule_version", "message").rows() == [
        ("R1", 1, "收缩压 160 达 160"),
        ("R3", 2, "收缩压 140 达 140"),
        ("R4", 2, "收缩压 150 达 140"),
    ]
    result = night.result("VIS-L-002", "sbp")
    assert (result["checked"], result["applicable"], result["violated"]) == (5, 5, 3)


def test_suppression_comes_before_counting(cat: Catalogue, visit: Form, lake: Path) -> None:
    night = _night(cat, visit, lake, {"id_card_no": "6.54301E+17"}, {"id_card_no": "12"})
    assert night.result("VIS-F-001", "id_card_no")["violated"] == 1
    assert night.result("VIS-F-002", "id_card_no")["violated"] == 1
    assert night.violations("rule_id", "record_id") == [("VIS-F-001", "R0"), ("VIS-F-002", "R1")]


def test_only_the_rules_asked_for(cat: Catalogue, visit: Form, lake: Path) -> None:
    night = _night(cat, visit, lake, {"sbp": 70.0, "dbp": None}, rules=["VIS-L-001"], institutions=["A", "B"])
    assert set(night.results["rule_id"]) == {"VIS-L-001"}


def test_a_rule_outside_the_scheme_suppresses_nothing(cat: Catalogue, visit: Form, lake: Path) -> None:
    night = _night(cat, visit, lake, {"id_card_no": "6.54301E+17"}, rules=["VIS-F-002"])
    assert night.violations("rule_id", "record_id") == [("VIS-F-002", "R0")]


# --- failures ----------------------------------------------------------------------------------------------------


def _sabotage(monkeypatch: pytest.MonkeyPatch, rule_id: str, broken: Callable[[pl.Expr], pl.Expr]) -> None:
    """Let one rule's compiled expression misbehave."""
    compile_check = schemas.check_polars

    def check_polars(check: RuleCheck, context: Context, *known: frozenset[str]) -> tuple[pl.Expr, pl.Expr]:
        applicable, violated = compile_check(check, context, *known)
        return (applicable, broken(violated)) if check.rule.rule_id == rule_id else (applicable, violated)

    monkeypatch.setattr(schemas, "check_polars", check_polars)


def _raise(_: pl.Expr) -> pl.Expr:
    raise ValueError("no such operation")


def _without(night: Night, rule_id: str) -> tuple[Any, ...]:
    """All that does not concern one rule."""
    other = pl.col("rule_id") != rule_id
    findings = night.findings.filter(other).select(sorted(night.findings.columns))
    return night.results.filter(other).sort(pl.all()).rows(), sorted(findings.rows(), key=repr)


@pytest.mark.parametrize(
    "broken",
    [
        _raise,
        lambda violated: violated & pl.col("no_such_column"),
        lambda violated: violated.cast(pl.Int8),
        lambda violated: pl.col("remark").str.to_integer().is_null(),
        lambda violated: pl.col("sbp").map_batches(lambda values: 1 / 0, return_dtype=pl.Boolean),
    ],
    ids=["does not compile", "unknown column", "not a judgement", "fails on the data", "raises"],
)
@pytest.mark.parametrize("rule_id", ["VIS-L-001", "VIS-F-001"])
def test_a_rule_that_fails_costs_only_itself(
    cat: Catalogue,
    visit: Form,
    lake: Path,
    monkeypatch: pytest.MonkeyPatch,
    broken: Callable[[pl.Expr], pl.Expr],
    rule_id: str,
) -> None:
    rows = [{"sbp": 70.0, "remark": "文字"}, {"id_card_no": "12"}, {"dbp": None}, {"id_card_no": "6.543011950010E+17"}]
    sound = _night(cat, visit, lake, *rows)
    _sabotage(monkeypatch, rule_id, broken)
    night = _night(cat, visit, lake, *rows)
    found = night.results.row(by_predicate=pl.col("rule_id") == rule_id, named=True)
    assert found["status"] == "error"
    assert "规则" in found["reason"]
    assert rule_id not in set(night.findings["rule_id"])
    assert _without(night, rule_id) == _without(sound, rule_id)
    assert [error.startswith(rule_id) for error in night.judgement.errors] == [True]


@pytest.mark.parametrize("batch_rows", [1, 2, 3, 100])
def test_a_rule_that_fails_on_some_records_costs_their_institution(
    cat: Catalogue, visit: Form, lake: Path, monkeypatch: pytest.MonkeyPatch, batch_rows: int
) -> None:
    def deliveries() -> list[Any]:
        texts = {"A": ["1", "2", "3"], "B": ["1", "二", "3", "4"], "C": ["1"]}
        return [
            delivered(
                lake,
                visit,
                name,
                records(visit, *({**GOOD, "record_id": f"R{n}", "sbp": 70.0, "remark": t} for n, t in enumerate(each))),
            )
            for name, each in texts.items()
        ]

    _sabotage(monkeypatch, "VIS-L-001", lambda violated: violated & (pl.col("remark").str.to_integer() > 0))
    night = judge(cat, deliveries(), lake / "out", batch_rows=batch_rows)
    assert {name: night.status("VIS-L-001", "sbp", name) for name in "ABC"} == {"A": "fail", "B": "error", "C": "fail"}
    found = night.findings.filter(rule_id="VIS-L-001")
    assert found["institution_code"].value_counts().sort("institution_code").rows() == [("A", 3), ("C", 1)]
    assert night.result("COM-C-013", "dbp", "B")["checked"] == 4
    assert night.present.filter(subject_kind="record").height == 8
    assert night.judgement.records_judged == 8


def test_reasons_hold_no_data(cat: Catalogue, visit: Form, lake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _sabotage(monkeypatch, "VIS-L-001", lambda violated: pl.col("person_name").str.to_integer() > 0)
    night = _night(cat, visit, lake, {"person_name": "欧阳某某", "sbp": 70.0})
    assert night.status("VIS-L-001", "sbp") == "error"
    assert "欧阳" not in str(night.results.rows()) + str(night.judgement)


@pytest.mark.parametrize("damage", ["absent", "truncated", "more rows than booked"])
def test_an_unreadable_lake_file_costs_its_institution(cat: Catalogue, visit: Form, lake: Path, damage: str) -> None:
    frame = records(visit, *({**GOOD, "record_id": f"R{number}", "sbp": 70.0} for number in range(120)))
    deliveries = [delivered(lake, visit, name, frame) for name in "ABC"]
    path = deliveries[1].files[0].path
    if damage == "absent":
        path.unlink()
    elif damage == "truncated":
        path.write_bytes(path.read_bytes()[:-200])
    else:
        pl.concat([frame, frame]).write_parquet(path)
    night = judge(cat, deliveries, lake / "out", forms=["visit"])
    theirs = night.results.filter(institution_code="B")
    assert set(theirs["status"]) == {"error"}
    assert all("重新运行" in reason for reason in theirs["reason"])
    assert set(night.findings["institution_code"]) == {"A", "C"}
    assert night.result("VIS-L-001", "sbp", "C")["violated"] == 120


# --- properties --------------------------------------------------------------------------------------------------


def test_violated_is_the_number_of_findings(real: Catalogue, lake: Path) -> None:
    deliveries = [
        delivered(lake, form, name, made_up(real, form, 120, seed))
        for form in real.forms.values()
        for seed, name in enumerate(("A", "B"))
    ]
    night = judge(real, deliveries, lake / "out")
    counted = night.results.filter(pl.col("violated") > 0)
    keys = ["institution_code", "form_id", "rule_id", "field"]
    found = night.findings.group_by(keys).len("violated").with_columns(pl.col("violated").cast(pl.Int64))
    assert counted.select(*keys, "violated").sort(keys).equals(found.sort(keys))
    assert night.judgement.findings == night.findings.height == night.results["violated"].sum()
    assert not night.findings.select(*keys, "subject_id").is_duplicated().any()
    assert not night.results.select(keys).is_duplicated().any()
    assert night.results.filter(
        (pl.col("violated") > pl.col("applicable")) | (pl.col("applicable") > pl.col("checked"))
    ).is_empty()
    assert night.judgement.evaluations == night.results["checked"].sum()


@settings(max_examples=12, deadline=None)
@given(batch_rows=st.integers(1, 70), seed=st.integers(0, 3), data=st.data())
def test_the_size_of_a_batch_changes_nothing(
    tmp_path_factory: pytest.TempPathFactory, batch_rows: int, seed: int, data: st.DataObject
) -> None:
    cat = small_catalogue()
    folder = tmp_path_factory.mktemp("lake")
    form = cat.form("visit")
    whole = made_up(cat, form, 60, seed)
    cuts = sorted(data.draw(st.lists(st.integers(0, 60), max_size=4)))
    parts = [whole[start:stop] for start, stop in zip([0, *cuts], [*cuts, 60], strict=True)]
    deliveries = [
        delivered(folder, form, "A", *parts),
        delivered(folder, form, "B", made_up(cat, form, 7, seed + 9), missing=["dbp"]),
        delivered(folder, form, "C", made_up(cat, form, 5, seed + 5)),
    ]
    once = judge(cat, deliveries, folder / "once")
    again = judge(cat, deliveries, folder / "again", batch_rows=batch_rows)
    for frame in ("findings", "results", "present"):
        one, other = getattr(once, frame), getattr(again, frame)
        assert one.sort(pl.all()).equals(other.sort(pl.all())), frame
    assert once.judgement == again.judgement


def test_many_small_institutions_share_batches(cat: Catalogue, visit: Form, lake: Path) -> None:
    frame = records(visit, GOOD, {**GOOD, "record_id": "R2", "sbp": 70.0})
    deliveries = [delivered(lake, visit, f"{number:04d}", frame) for number in range(300)]
    night = judge(cat, deliveries, lake / "out", forms=["visit"])
    found = night.results.filter(rule_id="VIS-L-001")
    assert set(found.select("checked", "applicable", "violated", "status").iter_rows()) == {(2, 2, 1, "fail")}
    assert found["institution_code"].n_unique() == 300
    assert night.findings["institution_code"].n_unique() == night.findings.height == 300


def test_subjects_present(cat: Catalogue, lake: Path) -> None:
    card = cat.form("card")
    rows = [
        {"record_id": "R1", "archive_no": "1", "household_id": "H1"},
        {"record_id": "R2", "archive_no": "1", "household_id": "H1"},
        {"record_id": "R3", "archive_no": None, "household_id": None},
        {"record_id": "R4", "archive_no": "2", "household_id": "H2", "record_status": "3"},
    ]
    night = judge(cat, [delivered(lake, card, "A", records(card, *rows))], lake / "out")
    counts = night.present.group_by("subject_kind").len().sort("subject_kind").rows()
    assert counts == [("household", 1), ("person", 1), ("record", 3)]
    assert sorted(night.present["subject_id"]) == ["1", "H1", "R1", "R2", "R3"]
    assert night.judgement.records_judged == 3


def test_a_night_before_today_judges_by_its_own_day(cat: Catalogue, visit: Form, lake: Path) -> None:
    """A record without service date is judged by the version in force on the night's day."""
    early = Context.natural_year(date(2018, 6, 30))
    night = _night(cat, visit, lake, {"sbp": 150.0, "visit_date": None}, ctx=early)
    assert night.findings.filter(rule_id="VIS-L-002").is_empty()
    night = _night(cat, visit, lake, {"sbp": 150.0, "visit_date": None}, ctx=Context.natural_year(TODAY))
    assert night.findings.filter(rule_id="VIS-L-002")["rule_version"].to_list() == [2]
