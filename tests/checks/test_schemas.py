"""Three ways to the same violations: the nightly runner, ``schema.validate``, and the checks as DuckDB SQL."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import pandera.errors
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandera.config import ValidationDepth, config_context

from phqc_pipeline.catalogue import Catalogue, Form, RuleCheck
from phqc_pipeline.catalogue.expressions import check_duckdb, usable_duckdb
from phqc_pipeline.checks import schema_for
from phqc_pipeline.checks.lake import lake_schema
from phqc_pipeline.checks.schemas import judgements_of
from tests.catalogue.record_strategies import cell_pools, random_frame
from tests.checks.lake_frames import CONTEXT, Night, delivered, judge, made_up, records
from tests.checks.visit_catalogue import small_catalogue, write_catalogue

FORMS = ("resident_profile", "health_exam", "chronic_registry", "htn_followup", "t2dm_followup", "elderly_self_care")
Violation = tuple[str, int, str, str]  # rule, version, field, record key


def _edges(cat: Catalogue, form: Form, rows: int, seed: int) -> pl.DataFrame:
    """Records on the edges of the form's own rules, each record number delivered about twice."""
    checks = cat.checks(form.form_id)
    pools = cell_pools(form, cat, [part for check in checks for part in (check.when, check.violated) if part])
    frame = random_frame(form, pools, rows, seed).with_row_index("row")
    number = pl.format("R{}", pl.col("row") * 7 % (rows * 2 // 3))
    own = [
        (pl.col("row").cast(pl.Int64) + 2).alias("_row_number"),
        number.alias("_record_key"),
        pl.lit("A").alias("_institution_code"),
        pl.lit("A").alias("station_code"),
        pl.lit(None, pl.String).alias("_null_reason"),
        pl.lit(None, pl.String).alias("_extra"),
    ]
    if form.has("record_status"):  # most records are to be judged
        own.append(pl.when(pl.col("row") % 5 > 0).then(pl.lit("1")).otherwise("record_status").alias("record_status"))
    return frame.with_columns(own).select(*lake_schema(form))


def _found(night: Night) -> set[Violation]:
    return set(night.findings.select("rule_id", "rule_version", "field", "subject_id").iter_rows())


# --- schema.validate ---------------------------------------------------------------------------------------------


def _validated(cat: Catalogue, form: Form, frame: Any) -> set[Violation]:
    schema = schema_for(cat, form.form_id, CONTEXT)
    checks = {judgement.name: judgement.check for judgement in judgements_of(schema)}
    try:
        schema.validate(frame, lazy=True)
    except pandera.errors.SchemaErrors as errors:
        found = set()
        keys = pl.DataFrame(frame.lazy().collect())["_record_key"]
        for error in errors.schema_errors:
            check = checks[error.check.name]
            rows = (~error.check_output.to_series()).arg_true()
            found |= {(check.rule.rule_id, check.rule.version, check.field, key) for key in keys.gather(rows)}
        return found
    return set()


@pytest.mark.parametrize("form_id", FORMS)
def test_the_runner_equals_schema_validate(real: Catalogue, lake: Path, form_id: str) -> None:
    form = real.form(form_id)
    frame = made_up(real, form, 25).with_columns(record_status=pl.lit("1"))
    night = judge(real, [delivered(lake, form, "A", frame)], lake / "out")
    assert _found(night) == _validated(real, form, frame)
    assert night.findings.height > 100


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), rows=st.integers(1, 30))
def test_the_runner_equals_schema_validate_on_versions_and_suppression(
    tmp_path_factory: pytest.TempPathFactory, seed: int, rows: int
) -> None:
    cat = small_catalogue()
    folder, form = tmp_path_factory.mktemp("lake"), cat.form("visit")
    frame = made_up(cat, form, rows, seed).with_columns(record_status=pl.lit("1"))
    assert _found(judge(cat, [delivered(folder, form, "A", frame)], folder / "out")) == _validated(cat, form, frame)


def test_a_lazy_frame_and_any_setting_still_look_at_the_data(cat: Catalogue, visit: Form) -> None:
    frame = made_up(cat, visit, 30).with_columns(record_status=pl.lit("1"))
    expected = _validated(cat, visit, frame)
    assert expected
    assert _validated(cat, visit, frame.lazy()) == expected
    with config_context(validation_depth=ValidationDepth.SCHEMA_ONLY, validation_enabled=False):
        assert _validated(cat, visit, frame) == expected


def test_settings_in_the_environment_do_not_switch_the_rules_off(tmp_path: Path) -> None:
    program = (
        "import sys, datetime, pandera.errors\n"
        "from pathlib import Path\n"
        "from phqc_pipeline.catalogue import Context, load_catalogue\n"
        "from phqc_pipeline.checks import schema_for\n"
        "from tests.checks.lake_frames import records\n"
        "cat = load_catalogue(Path(sys.argv[1]))\n"
        "schema = schema_for(cat, 'visit', Context.natural_year(datetime.date(2024, 12, 31)))\n"
        "try:\n"
        "    schema.validate(records(cat.form('visit'), {'sbp': 300.0}), lazy=True)\n"
        "except pandera.errors.SchemaErrors as errors:\n"
        "    print(*sorted(error.check.name for error in errors.schema_errors))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(write_catalogue(tmp_path / "rules"))],
        env={**os.environ, "PANDERA_VALIDATION_DEPTH": "SCHEMA_ONLY", "PANDERA_VALIDATION_ENABLED": "False"},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "COM-F-014/sbp" in done.stdout.split()


def test_a_sound_frame_passes_and_comes_back_as_it_was(cat: Catalogue) -> None:
    card = cat.form("card")
    given = {"archive_no": "1", "person_name": "张三", "birth_date": CONTEXT.today, "institution_code": "A"}
    frame = records(card, {"record_id": "R1", "doctor_name": "李", "record_status": "1", **given})
    schema = schema_for(cat, "card", CONTEXT)
    assert schema.validate(frame, lazy=True).equals(frame)
    assert isinstance(schema.validate(frame.lazy(), lazy=True), pl.LazyFrame)


def test_names_and_texts_of_the_checks(cat: Catalogue) -> None:
    checks = {check.name: check for check in schema_for(cat, "visit", CONTEXT).checks}
    assert {"VIS-L-001", "VIS-L-002@1", "VIS-L-002@2", "COM-F-014/sbp", "COM-C-013/dbp"} <= checks.keys()
    assert checks["VIS-L-001"].title == "收缩压不大于舒张压"
    assert len(checks) == len(cat.checks("visit"))
    without = {check.name for check in schema_for(cat, "visit", CONTEXT, missing_columns=frozenset({"sbp"})).checks}
    assert not {"VIS-L-001", "VIS-L-002@1", "COM-F-014/sbp", "COM-C-013/sbp"} & without
    assert "COM-F-014/dbp" in without


def test_a_rule_that_does_not_compile_stays_visible(cat: Catalogue, monkeypatch: pytest.MonkeyPatch) -> None:
    def check_polars(check: RuleCheck, *_: Any) -> Any:
        raise ValueError("no such operation")

    monkeypatch.setattr("phqc_pipeline.checks.schemas.check_polars", check_polars)
    schema = schema_for(cat, "card", CONTEXT)
    with pytest.raises(pandera.errors.SchemaErrors) as caught:
        schema.validate(records(cat.form("card"), {}), lazy=True)
    assert len(caught.value.schema_errors) == len(cat.checks("card"))


# --- DuckDB ------------------------------------------------------------------------------------------------------


def _in_duckdb(cat: Catalogue, form: Form, path: Path, missing: frozenset[str] = frozenset()) -> set[Violation]:
    """The violations by SQL alone: population, validity and suppression written a second time, independently."""
    day = f"coalesce(cast({usable_duckdb(form.field(form.service_date))} as date), date '{CONTEXT.today}')"
    status = usable_duckdb(form.field("record_status"))
    changed = usable_duckdb(form.field("updated_at"))
    evaluable = [check for check in cat.checks(form.form_id) if not check.required & missing]
    own: dict[tuple[str, int, str], str] = {}
    for check in evaluable:
        rule = check.rule
        since = f"{day} >= date '{rule.valid_from}'" if rule.valid_from else "true"
        until = f"{day} <= date '{rule.valid_to}'" if rule.valid_to else "true"
        own[check.key] = f"({check_duckdb(check, CONTEXT, missing)[1]} and {since} and {until})"
    found: set[Violation] = set()
    with duckdb.connect() as db:
        current = (
            f"select * from read_parquet('{path}') qualify row_number() over"
            f" (partition by _record_key order by {changed} desc nulls last, _row_number desc) = 1"
        )
        db.execute(f"create table judged as from ({current}) where coalesce({status} in ('1', '5'), true)")
        for start in range(0, len(evaluable), 40):
            portion = evaluable[start : start + 40]
            flags = ", ".join(f'{_reported(check, own)} as "{place}"' for place, check in enumerate(portion))
            rows = db.execute(f"select _record_key, {flags} from judged").fetchall()
            for key, *violated in rows:
                found |= {
                    (*check.key, key) for check, is_violated in zip(portion, violated, strict=True) if is_violated
                }
    return found


def _reported(check: RuleCheck, own: dict[tuple[str, int, str], str]) -> str:
    each = check.rule.per_field is not None
    suppressors = [
        sql
        for (rule_id, _, field), sql in own.items()
        if rule_id in check.rule.suppressed_by and (not each or field == check.field)
    ]
    return " and not ".join([own[check.key], *suppressors])


@pytest.mark.parametrize("form_id", FORMS)
def test_the_runner_equals_duckdb(real: Catalogue, lake: Path, form_id: str) -> None:
    form = real.form(form_id)
    delivery = delivered(lake, form, "A", _edges(real, form, 300, seed=len(form_id)))
    night = judge(real, [delivery], lake / "out")
    assert _found(night) == _in_duckdb(real, form, delivery.files[0].path)
    assert night.findings.select("rule_id", "field").n_unique() > len(real.checks(form_id)) / 2


def test_the_runner_equals_duckdb_when_columns_are_missing(real: Catalogue, lake: Path) -> None:
    form = real.form("htn_followup")
    missing = ("sbp", "referral_reason", "visit_mode_code", "drug2_name", "updated_at", "record_status")
    absent = [
        pl.lit(None, dtype).alias(name) for name, dtype in lake_schema(form).items() if name.split("__")[0] in missing
    ]
    delivery = delivered(lake, form, "A", _edges(real, form, 200, seed=5).with_columns(absent), missing=missing)
    night = judge(real, [delivery], lake / "out")
    assert _found(night) == _in_duckdb(real, form, delivery.files[0].path, frozenset(missing))
    reasons = night.results.filter(status="not_evaluable", form_id="htn_followup")["reason"]
    assert {"缺少列：收缩压（sbp）", "缺少列：随访方式（visit_mode_code）"} <= set(reasons)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), rows=st.integers(2, 40))
def test_the_runner_equals_duckdb_on_versions_and_suppression(
    tmp_path_factory: pytest.TempPathFactory, seed: int, rows: int
) -> None:
    cat = small_catalogue()
    folder, form = tmp_path_factory.mktemp("lake"), cat.form("visit")
    delivery = delivered(folder, form, "A", _edges(cat, form, rows, seed))
    night = judge(cat, [delivery], folder / "out")
    assert _found(night) == _in_duckdb(cat, form, delivery.files[0].path)


def test_the_benchmark_query_by_hand_says_the_same(real: Catalogue, lake: Path) -> None:
    """``benchmarks/record_rules_by_hand.sql`` is a fair rival only as long as it answers the same question."""
    form = real.form("htn_followup")
    query = (Path(__file__).parents[2] / "benchmarks" / "record_rules_by_hand.sql").read_text(encoding="utf-8")
    rules = re.findall(r"select '([A-Z]+-[A-Z]-\d+)' as rule_id", query)
    delivery = delivered(lake, form, "A", _edges(real, form, 3000, seed=1))
    night = judge(real, [delivery], lake / "out", rules=rules)
    with duckdb.connect() as db:
        found = db.execute(query.replace("$lake", f"'{delivery.files[0].path}'")).fetchall()
    assert night.violations("rule_id", "subject_id") == sorted(found, key=repr)
    assert set(night.findings["rule_id"]) == set(rules)
