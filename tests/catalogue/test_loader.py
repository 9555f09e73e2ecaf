"""What a sound catalogue becomes: forms with their envelope, rules on forms and fields, code spellings, YAML values."""

from __future__ import annotations

from datetime import date

import pytest

from phqc_pipeline.catalogue import Context, load_catalogue
from phqc_pipeline.catalogue.yaml_lines import parse_yaml
from phqc_pipeline.home import DEFAULT_RULES
from tests.catalogue.small_catalogue import Small

COMMON, VISIT, RULES = "checks/common.yaml", "forms/visit.yaml", "checks/visit.yaml"


def fields_of(catalogue, rule_id: str, form_id: str) -> list[str]:
    return [check.field for check in catalogue.checks(form_id) if check.rule.rule_id == rule_id]


def test_the_projects_own_catalogue_is_sound() -> None:
    catalogue = load_catalogue(DEFAULT_RULES)
    assert {"resident_profile", "health_exam", "htn_followup", "t2dm_followup"} <= catalogue.forms.keys()
    assert all(catalogue.checks(form_id) for form_id in catalogue.forms)


def test_form_has_envelope_first_and_its_own_words_win(small: Small) -> None:
    catalogue = small.load()
    assert [field.name for field in catalogue.form("profile").fields] == [
        "record_id", "archive_no", "birth_date", "record_status", "archive_date", "phone",
    ]  # fmt: skip
    patrol = catalogue.form("patrol")
    assert [field.name for field in patrol.fields] == [
        "record_id", "birth_date", "record_status", "patrol_date", "archive_no",
    ]  # fmt: skip
    assert [field.name for field in patrol.own_fields] == ["patrol_date", "archive_no"]
    assert patrol.field("record_id").envelope
    assert not patrol.field("archive_no").envelope
    with pytest.raises(KeyError, match="没有字段 sbp"):
        patrol.field("sbp")


def test_field_types_are_taken_apart(small: Small) -> None:
    visit = small.load().form("visit")
    weight, dose, sbp = visit.field("weight_kg"), visit.field("drug_dose"), visit.field("sbp")
    assert (weight.kind, weight.precision, weight.scale) == ("dec", 4, 1)
    assert (dose.kind, dose.length) == ("text", 50)
    assert (sbp.kind, sbp.scale, sbp.hard, sbp.soft) == ("int", 0, (60.0, 280.0), (90.0, 200.0))
    assert (dose.required, dose.condition_reads) == ("when", {"drug_name"})
    assert sbp.headers == ("sbp", "收缩压", "高压")


def test_an_open_end_of_a_range(small: Small) -> None:
    small.change(VISIT, "hard: [30, 160]", "hard: [null, 160]")
    assert small.load().form("visit").field("dbp").hard == (None, 160.0)


def test_spellings_of_codes(small: Small) -> None:
    spellings = small.load().codes["CL_SYMPTOM"].spellings
    assert {word: spellings[word] for word in ("1", "01", "001", "无", "无症状")} == dict.fromkeys(
        ("1", "01", "001", "无", "无症状"), "1"
    )
    assert spellings["2"] == spellings["02"] == spellings["头痛"] == "02"
    assert "3" not in spellings


def test_a_code_wins_over_another_codes_padding(small: Small) -> None:
    small.change("codes/general.yaml", "{code: '02', name: 头痛}", "{code: '01', name: 头痛}")
    spellings = small.load().codes["CL_SYMPTOM"].spellings
    assert (spellings["1"], spellings["01"], spellings["001"]) == ("1", "01", "1")


def test_generic_rules_go_where_their_columns_are(small: Small) -> None:
    small.change(COMMON, "violated: record_id is null", "violated: record_id is null and sbp > 0")
    catalogue = small.load()
    rule = catalogue.versions("COM-C-001")[0]
    assert rule.form_ids == ("visit",)
    assert catalogue.versions("COM-C-002")[0].form_ids == ("profile", "visit")  # forms: person


def test_except_forms(small: Small) -> None:
    small.change(COMMON, "title: 记录编号未填", "title: 记录编号未填\n    except_forms: [patrol]")
    assert small.load().versions("COM-C-001")[0].form_ids == ("profile", "visit")


def test_an_optional_column_the_form_lacks_reads_empty(small: Small) -> None:
    small.change(
        COMMON,
        "violated: record_id is null",
        "violated: record_id is null and drug_name is null\n    optional_columns: [drug_name]",
    )
    catalogue = small.load()
    assert catalogue.versions("COM-C-001")[0].form_ids == ("patrol", "profile", "visit")
    on = {form: next(c for c in catalogue.checks(form) if c.rule.rule_id == "COM-C-001") for form in catalogue.forms}
    assert on["patrol"].reads == {"record_id"}
    assert on["visit"].reads == {"record_id", "drug_name"}
    assert on["visit"].required == {"record_id"}


def test_a_hard_range_is_judged_field_by_field(small: Small) -> None:
    catalogue = small.load()
    assert fields_of(catalogue, "COM-F-014", "visit") == ["sbp", "dbp", "weight_kg"]
    assert catalogue.versions("COM-F-014")[0].form_ids == ("visit",)


def test_required_fields_that_another_rule_tests_are_left_to_it(small: Small) -> None:
    """dbp is tested by a cross rule (checks_empty), record_id and archive_no by record rules."""
    catalogue = small.load()
    assert fields_of(catalogue, "COM-C-013", "visit") == [
        "birth_date", "record_status", "visit_date", "symptom_codes", "symptom_other", "sbp", "drug_dose",
    ]  # fmt: skip
    small.change("checks/cross.yaml", "checks_empty: [dbp]", "checks_empty: [sbp, symptom_codes]")
    assert fields_of(small.load(), "COM-C-013", "visit") == [
        "birth_date", "record_status", "visit_date", "symptom_other", "dbp", "drug_dose",
    ]  # fmt: skip


def test_a_negated_test_counts_where_it_can_violate(small: Small) -> None:
    """``assert: sbp is not null`` tests sbp; ``when: sbp is not null`` does not."""
    assert "sbp" in fields_of(small.load(), "COM-C-013", "visit")
    small.change(RULES, "assert: sbp > dbp", "assert: sbp is not null and sbp > dbp")
    assert "sbp" not in fields_of(small.load(), "COM-C-013", "visit")


def test_which_missing_columns_stop_a_rule(small: Small) -> None:
    catalogue = small.load()
    visit = catalogue.form("visit")
    assert catalogue.required_columns("visit") == {
        "record_id", "archive_no", "birth_date", "visit_date", "symptom_codes", "symptom_other", "sbp", "dbp",
        "drug_dose",
    }  # fmt: skip
    assert visit.blocking(["sbp", "weight_kg", "no_such_column"]) == {"sbp"}
    assert visit.blocking(["drug_dose"]) == {"drug_dose"}  # its condition can still be judged
    assert visit.blocking(["drug_dose", "drug_name"]) == frozenset()  # the whole group was left out
    check = next(one for one in catalogue.checks("visit") if one.rule.rule_id == "VIS-L-001")
    assert check.blocked_by(visit, ["dbp", "weight_kg", "symptom_codes"]) == {"dbp"}
    assert check.blocked_by(visit, ["weight_kg"]) == frozenset()


def test_a_status_column_may_be_missing_but_is_not_then_reported_empty(small: Small) -> None:
    small.change(RULES, "when: sbp is not null", "when: record_status = '1' and sbp is not null")
    catalogue = small.load()
    checks = {check.key: check for check in catalogue.checks("visit")}
    visit = catalogue.form("visit")
    assert checks["VIS-L-001", 1, "sbp"].blocked_by(visit, ["record_status"]) == frozenset()
    assert checks["COM-C-013", 1, "record_status"].blocked_by(visit, ["record_status"]) == {"record_status"}


def test_rule_as_written(small: Small) -> None:
    catalogue = small.load()
    rule = catalogue.versions("VIS-L-001")[0]
    assert (rule.form_id, rule.subject_kind, rule.root, rule.valid_from) == ("visit", "record", None, date(2017, 2, 28))
    assert rule.expression == "(sbp is not null and age >= least) and (not (sbp > dbp))"
    assert (rule.place.file, rule.place.line) == (RULES, 2)
    assert rule.fail_examples[0].note == "相等也算"
    assert rule.fail_examples[0].values == {"sbp": 80, "dbp": 80, "age": 50}
    assert not rule.in_force_on(date(2017, 2, 27))
    assert rule.in_force_on(date(2017, 2, 28))
    check = next(one for one in catalogue.checks("visit") if one.rule is rule)
    assert check.reads == {"sbp", "dbp", "visit_date", "birth_date"}
    assert check.suggestion is not None


def test_cross_rule_as_written(small: Small) -> None:
    catalogue = small.load()
    rule = catalogue.versions("VIS-U-001")[0]
    assert (rule.carrier, rule.form_ids, rule.subject_kind, rule.model) == ("dbt", ("visit",), "person", "same_day")
    assert rule.expression == "同一档案同一天多于 {most} 条"
    assert all(check.rule is not rule for check in catalogue.checks("visit"))
    assert rule in catalogue.rules_of("visit")


REPORT_RULE = """\
  - id: RPT-R-030
    title: 电子档案数大于建档数
    form_id: r_archive
    carrier: dbt
    dimension: 报表核对
    severity: 严重
    grain: inst
    model: report_logic
    reads: {r_archive: [ehr_electronic, ehr_archive]}
    expression: ehr_electronic > ehr_archive
    message: 电子档案 {observed} 大于建档 {expected}
    basis: 部分不大于整体
    verified: true
"""


def test_a_cross_rule_may_be_at_home_on_a_report(small: Small) -> None:
    rule = small.append("checks/cross.yaml", REPORT_RULE).load().versions("RPT-R-030")[0]
    assert (rule.form_id, rule.form_ids, rule.subject_kind) == ("r_archive", ("r_archive",), "institution")
    small.change("checks/cross.yaml", "[ehr_electronic, ehr_archive]", "[ehr_electronik]")
    assert "r_archive 没有字段 ehr_electronik" in small.only_fault().problem


def test_a_cross_rule_may_be_on_every_form(small: Small) -> None:
    small.change("checks/cross.yaml", "form_id: visit", 'forms: "*"')
    small.change("checks/cross.yaml", "    reads: {visit: [archive_no, visit_date]}\n", "")
    rule = small.load().versions("VIS-U-001")[0]
    assert rule.form_ids == ("patrol", "profile", "visit")


def test_identity_items_are_their_own_root(small: Small) -> None:
    small.change(COMMON, "field: archive_no\n", "field: birth_date\n")
    assert small.load().versions("COM-C-002")[0].root == "birth_date"


def test_programme(small: Small) -> None:
    catalogue = small.load()
    plan, scheme = catalogue.plans["nightly"], catalogue.schemes["default"]
    assert (plan.institutions, plan.forms, plan.schedule, plan.records_from) == (None, None, "0 2 * * *", None)
    assert (scheme.rules, scheme.passes_without, scheme.deductions["严重"]) == (None, ("严重",), 10)
    assert catalogue.reports["r_archive"].by_item["ehr_electronic"].headers[-1] == "电子建档人数"
    assert (catalogue.settings.shrink_ratio, catalogue.settings.payment_working_days) == (0.5, 5)
    small.write("settings.yaml", "shrink_ratio: 0.4\npayment_working_days: 10\n")
    small.change("schemes/default.yaml", "pass: 无严重", "pass: 无严重和一般")
    catalogue = small.load()
    assert (catalogue.settings.shrink_ratio, catalogue.settings.payment_working_days) == (0.4, 10)
    assert catalogue.schemes["default"].passes_without == ("严重", "一般")


def test_rules_may_stand_as_a_bare_list(small: Small) -> None:
    text = (small.directory / RULES).read_text(encoding="utf-8")
    small.write(RULES, text.removeprefix("rules:\n"))
    assert small.load().versions("VIS-L-001")


def test_context_of_a_natural_year() -> None:
    context = Context.natural_year(date(2024, 2, 29))
    assert (context.period_start, context.period_end, context.period) == (date(2024, 1, 1), date(2024, 12, 31), "2024")
    assert Context(date(2024, 2, 29), date(2024, 1, 1), date(2024, 3, 31)).period == "2024-01-01..2024-03-31"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("01", "01"), ("1", 1), ("-3", -3), ("1.50", 1.5), ("1e3", 1000.0), ("true", True), ("no", "no"), ("Y", "Y"),
        ("~", None), ("", None), ("12:30", "12:30"), ("2024-02-29", date(2024, 2, 29)), ("2023-02-29", "2023-02-29"),
        ("'1'", "1"), ('"null"', "null"), ("0x1F", "0x1F"), ("1_000", "1_000"), (".5", 0.5), ("+1", 1),
    ],
)  # fmt: skip
def test_plain_values_of_yaml(text: str, value: object) -> None:
    document, faults = parse_yaml(f"key: {text}\n", "a.yaml")
    assert not faults
    assert document is not None
    assert document.data == {"key": value}
    assert type(document.data["key"]) is type(value)


def test_lines_of_yaml_values() -> None:
    document, _ = parse_yaml("a:\n  - {b: 1,\n     c: 2}\n  - d: |\n      x\n      y\n", "a.yaml")
    assert document is not None
    assert document.line(("a", 0, "c")) == 3
    assert document.line(("a", 1, "d")) == 4
    assert document.line(("a", 1, "missing")) == 4  # the nearest value around it
    assert document.line() == 1


def test_what_is_about_a_person_is_not_required_of_an_institution(small: Small) -> None:
    small.change(
        "forms/_envelope.yaml", "title: 出生日期, type: date", "title: 出生日期, person_only: true, type: date"
    )
    catalogue = small.load()
    assert "birth_date" in catalogue.required_columns("visit")
    assert "birth_date" not in catalogue.required_columns("patrol")
    assert catalogue.form("patrol").field("birth_date").required == "never"
    assert "birth_date" in fields_of(catalogue, "COM-C-013", "visit")
    assert "birth_date" not in fields_of(catalogue, "COM-C-013", "patrol")


def test_a_rule_on_every_person_form_says_so_once(small: Small) -> None:
    wanted = "reads: {visit: [archive_no, visit_date]}"
    small.change("checks/cross.yaml", wanted, "reads: {visit: [archive_no, sbp], person: [archive_no, service_date]}")
    assert small.load().versions("VIS-U-001")[0].reads == {
        "visit": ("archive_no", "sbp"),  # written out: that holds
        "profile": ("archive_no", "archive_date"),
    }
    small.change("checks/cross.yaml", "visit: [archive_no, sbp], ", "")
    small.change("checks/cross.yaml", "title: 同日重复", "title: 同日重复\n    except_forms: [profile]")
    assert small.load().versions("VIS-U-001")[0].reads == {"visit": ("archive_no", "visit_date")}
    small.change("checks/cross.yaml", "[archive_no, service_date]", "[archive_no, phone]")
    assert small.load().versions("VIS-U-001")[0].reads == {}  # a form without the columns is left out


def test_a_derived_name_may_do_without_a_column(small: Small) -> None:
    small.append(
        "derived.yaml",
        "  - {name: figure, title: 数, expr: 'coalesce(sbp, weight_kg) + 1', optional_columns: [sbp, weight_kg]}\n",
    )
    small.change(COMMON, "violated: record_id is null", "violated: record_id is null and figure is null")
    catalogue = small.load()
    assert catalogue.versions("COM-C-001")[0].form_ids == ("patrol", "profile", "visit")
    reads = {check.form_id: check.reads for form in catalogue.forms for check in catalogue.checks(form)
             if check.rule.rule_id == "COM-C-001"}  # fmt: skip
    assert reads["visit"] == {"record_id", "sbp", "weight_kg"}
    assert reads["profile"] == {"record_id"}


def test_codes_in_force_at_times_are_held_against_the_service_date(small: Small) -> None:
    small.change(
        "codes/general.yaml",
        "- {code: '02', name: 头痛}",
        "- {code: '02', name: 头痛, valid_to: 2019-12-31}\n"
        "      - {code: '02', name: 头痛, valid_from: 2021-01-01}\n"
        "      - {code: '3', name: 心悸, valid_from: 2020-01-01}",
    )
    catalogue = small.load()
    dated = catalogue.form("visit").field("symptom_codes").dated_codes
    assert dated is not None
    assert (dated.service_date, dated.kind) == ("visit_date", "date")
    assert dated.spans == (
        (("02",), ((None, date(2019, 12, 31)), (date(2021, 1, 1), None))),
        (("3",), ((date(2020, 1, 1), None),)),
    )
    assert catalogue.form("visit").field("record_status").dated_codes is None
