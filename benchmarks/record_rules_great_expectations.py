"""The 35 rules of ``record_rules_by_hand.sql`` as Great Expectations would have them; run in an environment of its own.

``python record_rules_great_expectations.py JUDGED.parquet`` prints JSON: the seconds the validation took and each
rule's violations. A rule that no expectation can state (three columns, arithmetic) reads a column ``ok_<rule>`` that
was computed before, for which no time is counted.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import great_expectations as gx
import great_expectations.expectations as gxe
import pandas as pd
import pyarrow.parquet as pq

PANDAS = {"condition_parser": "pandas"}


def expectations(columns: set[str]) -> dict[str, Any]:
    """Rule → expectation."""
    filled = {
        "COM-C-001": "record_id",
        "COM-C-002": "archive_no",
        "COM-C-003": "person_name",
        "COM-C-007": "institution_code",
        "COM-C-008": "doctor_name",
    }
    found: dict[str, Any] = {rule: gxe.ExpectColumnValuesToNotBeNull(column=name) for rule, name in filled.items()}
    later = {
        "COM-L-006": ("visit_date", "birth_date", True),
        "COM-L-007": ("created_date", "visit_date", True),
        "COM-L-008": ("next_visit_date", "visit_date", False),
        "HTN-L-011": ("sbp", "dbp", False),
    }
    for rule, (one, other, equal) in later.items():
        found[rule] = gxe.ExpectColumnPairValuesAToBeGreaterThanB(
            column_A=one, column_B=other, or_equal=equal, ignore_row_if="either_value_is_missing"
        )
    found["COM-F-001"] = gxe.ExpectColumnValuesToMatchRegex(column="archive_no", regex=r"^[0-9]{17}$")
    found["COM-F-006"] = gxe.ExpectColumnValuesToNotMatchRegex(column="id_card_no", regex=r"^.{15}$")
    found["COM-L-005"] = gxe.ExpectColumnValuesToBeBetween(column="visit_date", max_value=pd.Timestamp(2024, 12, 31))
    found["COM-L-012"] = gxe.ExpectColumnValuesToNotBeNull(column="adr_desc", row_condition='adr_code == "2"', **PANDAS)
    found["COM-L-015"] = gxe.ExpectColumnValuesToBeNull(
        column="drug1_name", row_condition='adherence_code == "3"', **PANDAS
    )
    found["HTN-L-003"] = gxe.ExpectColumnValuesToNotBeInSet(
        column="class_code", value_set=["1", "2"], row_condition='adr_code == "2"', **PANDAS
    )
    found["HTN-L-016"] = gxe.ExpectColumnValuesToBeBetween(
        column="smoke_target", max_value=0, row_condition="smoke_per_day == 0", **PANDAS
    )
    for name in sorted(columns):
        rule = name.removeprefix("ok_")
        if name.startswith("ok_") and rule not in found:
            found[rule] = gxe.ExpectColumnValuesToBeInSet(column=name, value_set=[True])
    return found


def main(path: str) -> None:
    frame = pq.read_table(path).to_pandas()
    for name in ("visit_date", "birth_date", "next_visit_date", "created_date"):
        frame[name] = pd.to_datetime(frame[name])
    rules = expectations(set(frame.columns))
    context = gx.get_context(mode="ephemeral")
    asset = context.data_sources.add_pandas("lake").add_dataframe_asset("judged")
    batch = asset.add_batch_definition_whole_dataframe("whole")
    suite = context.suites.add(gx.ExpectationSuite(name="rules", expectations=list(rules.values())))
    definition = context.validation_definitions.add(gx.ValidationDefinition(name="rules", data=batch, suite=suite))
    wanted = {"result_format": "COMPLETE", "unexpected_index_column_names": ["_record_key"]}
    started, spent = time.perf_counter(), time.process_time()
    done = definition.run(batch_parameters={"dataframe": frame}, result_format=wanted)
    wall, spent = time.perf_counter() - started, time.process_time() - spent
    broken = [str(one.exception_info)[:300] for one in done.results if "unexpected_count" not in one.result]
    if broken:
        raise SystemExit("\n".join(broken))
    by_type = {_key(one.expectation_config): one.result["unexpected_count"] for one in done.results}
    counts = {rule: by_type[_key(expectation.configuration)] for rule, expectation in rules.items()}
    print(json.dumps({"wall": wall, "cpu": spent, "violations": counts, "version": gx.__version__}))


def _key(configuration: Any) -> str:
    settings = {name: str(value) for name, value in configuration.kwargs.items() if name != "batch_id"}
    return f"{configuration.type} {sorted(settings.items())}"


if __name__ == "__main__":
    main(sys.argv[1])
