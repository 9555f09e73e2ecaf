"""The published models: what they are handed, and building them.

Belongs here: the files below HOME/warehouse/inputs that ``qc``, ``ingest``, ``billing`` and the marts read, and the dbt
call that builds and tests them. Does not belong here: the models (``dbt_project/models``), publishing (``publish``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import polars as pl

from phqc_pipeline.catalogue import Catalogue, Plan
from phqc_pipeline.catalogue.ruleset import is_generic
from phqc_pipeline.checks import mask_numbers, mask_personal
from phqc_pipeline.home import Home
from phqc_pipeline.warehouse.billing_shapes import BILLING
from phqc_pipeline.warehouse.db import columns_sql, empty_select, literal, open_duckdb
from phqc_pipeline.warehouse.dbt_runner import DbtRun, run_dbt
from phqc_pipeline.warehouse.life import changes_sql
from phqc_pipeline.warehouse.linkage import link_warehouse
from phqc_pipeline.warehouse.night import leading_night, list_nights, read_night
from phqc_pipeline.warehouse.report_inputs import lay_report_versions
from phqc_pipeline.warehouse.scoring import scheme_form_table, scheme_rule_table, scheme_table, scoring_schemes
from phqc_pipeline.warehouse.shapes import (
    ANSWER,
    FILE,
    HEADER_PROPOSAL,
    NIGHT_INSTITUTION,
    NIGHT_RESULT,
    PRESENT,
    REGISTRY_PROBLEM,
    REJECTED_ROW,
    STATE,
    WAIVER,
)
from phqc_pipeline.warehouse.verification import sampling_plan


class MartError(RuntimeError):
    """A published model could not be built, or does not hold together; nothing is published."""


def build_marts(
    home: Home,
    cat: Catalogue,
    state: Path | None,
    *,
    files: pl.DataFrame | None,
    rejected: Iterable[Path] | pl.DataFrame | None,
    waivers: pl.DataFrame | None,
    billing: Mapping[str, pl.DataFrame] | None = None,
    proposals: pl.DataFrame | None = None,
    registry_problems: pl.DataFrame | None = None,
    answers: Iterable[Path] = (),
    plan: Plan | None = None,
    manifest: Any = None,
) -> DbtRun:
    """Build and test everything that is published, in the working DuckDB file.

    ``state``: the newest night's state (``life.fold``). ``files``, ``rejected``: the books' ``ingest.file`` and
    ``ingest.rejected_row`` (a frame, or Parquet files). ``waivers``: the registry's; ``billing``: its
    tables by name (``billing_shapes``), empty without; ``proposals``: the books' ``ingest.header_proposal``;
    ``registry_problems``: the registry's ``ingest.registry_problem``;
    ``answers``: Parquet files of what institutions answered (``extracts.ANSWER_SCHEMA``). ``plan``: whose night is
    staged; its scheme scores, others beside it.
    Raises MartError when a model failed or a test of what was built did, naming each.
    """
    inputs = home.warehouse / "inputs"
    inputs.mkdir(parents=True, exist_ok=True)
    nights = list_nights(home)
    lay_report_versions(home, cat, files)
    _runs(nights).write_parquet(inputs / "run.parquet")
    _rules(cat).write_parquet(inputs / "rule.parquet")
    _lay_schemes(cat, plan, inputs)
    with open_duckdb(scratch=home.warehouse / "tmp") as connection:
        _lay(connection, inputs / "result.parquet", _results_sql(nights))
        _lay(connection, inputs / "run_institution.parquet", _institutions_sql(nights))
        _lay(connection, inputs / "sampled_record.parquet", _sampled_sql(nights))
        _lay(connection, inputs / "change.parquet", changes_sql(nights) if state else changes_sql([]))
        answered = _shaped(connection, "answer", _masked_answers(connection, answers), ANSWER)
        _lay(connection, inputs / "answer.parquet", answered)
        _lay(connection, inputs / "file.parquet", _shaped(connection, "file", files, FILE))
        proposed = _shaped(connection, "header_proposal", proposals, HEADER_PROPOSAL)
        _lay(connection, inputs / "header_proposal.parquet", proposed)
        _lay(connection, inputs / "waiver.parquet", _shaped(connection, "waiver", waivers, WAIVER))
        wrong = _shaped(connection, "registry_problem", registry_problems, REGISTRY_PROBLEM)
        _lay(connection, inputs / "registry_problem.parquet", wrong)
        for table, shape in BILLING.items():
            told = _shaped(connection, f"billing_{table}", (billing or {}).get(table), shape)
            _lay(connection, inputs / f"billing_{table}.parquet", told)
        _lay(connection, inputs / "rejected_row.parquet", _rejected_sql(connection, rejected))
        if state is None:
            _lay(connection, inputs / "state.parquet", empty_select(STATE))
    if state is not None:
        _point(inputs / "state.parquet", state)
    links, archives = link_warehouse(home, cat.directory)
    links.write_parquet(inputs / "duplicate_link.parquet")
    archives.write_parquet(inputs / "archive.parquet")
    sampling_plan(cat.verification).write_parquet(inputs / "sampling.parquet")
    parts = [f"path:models/{folder}" for folder in ("difference", "published", "marts")]
    run = run_dbt(home, ["build", "--select", *parts], manifest)
    broken = run.failed()
    if broken:
        told = "\n".join(f"  {node.name}（{node.status}）：{node.problem}" for node in broken)
        raise MartError(f"发布表没有通过，本夜不发布：\n{told}")
    return run


def read_recomputed(home: Home) -> pl.DataFrame:
    """What billing needs of the cross run: the figures recomputed from records (institution_code, report_id, year,
    period, item, recomputed)."""
    with open_duckdb(home.warehouse_db, scratch=home.warehouse / "tmp") as connection:
        found: pl.DataFrame = connection.execute(
            "SELECT institution_code, report_id, year, period, item, recomputed FROM stg.report_comparison "
            "WHERE recomputed IS NOT NULL"
        ).pl()
    return found


def _runs(nights: list[Path]) -> pl.DataFrame:
    rows = []
    leading = {
        leading_night([night for night in nights if night.name[:10] == day]) for day in {n.name[:10] for n in nights}
    }
    for night in nights:
        told = read_night(night)
        rows.append(
            {
                "run_id": told["run_id"],
                "plan_id": told.get("plan_id"),
                "scheme_id": told.get("scheme_id"),
                "snapshot_date": told["snapshot_date"],
                "started_at": _moment(told.get("started_at")),
                "finished_at": _moment(told.get("finished_at")),
                "status": "finished",
                "catalogue_fingerprint": told.get("catalogue_fingerprint"),
                "records_checked": told.get("records_checked"),
                "findings": told.get("findings"),
                "period": told.get("period"),
                "sampled": bool(told.get("sampled")),
                "institutions": "、".join(told.get("only") or ()) or None,
                "is_leading": night in leading,
                "findings_digest": told.get("findings_digest"),
            }
        )
    texts = ("run_id", "plan_id", "scheme_id", "snapshot_date", "status", "catalogue_fingerprint")
    schema: Mapping[str, Any] = {
        **dict.fromkeys((*texts, "period", "institutions", "findings_digest"), pl.String),
        **dict.fromkeys(("sampled", "is_leading"), pl.Boolean),
        **dict.fromkeys(("started_at", "finished_at"), pl.Datetime("us")),
        **dict.fromkeys(("records_checked", "findings"), pl.Int64),
    }
    return pl.DataFrame(rows, schema=schema).with_columns(pl.col("snapshot_date").str.to_date("%Y-%m-%d"))


def _moment(text: str | None) -> datetime | None:
    """A time as ``night.json`` keeps it, in Asia/Shanghai without a zone (contract, section 3)."""
    return datetime.fromisoformat(text) if text else None


def _rules(cat: Catalogue) -> pl.DataFrame:
    """qc.rule: one row a rule version; a rule that goes wherever its columns are has the form ``*``."""
    rows = [
        {
            "rule_id": rule.rule_id,
            "version": rule.version,
            "title": rule.title,
            "form_id": "*" if is_generic(rule) else rule.form_id,
            "dimension": rule.dimension,
            "severity": rule.severity,
            "grain": rule.grain,
            "carrier": rule.carrier,
            "expression": rule.expression,
            "message": rule.message,
            "basis": rule.basis,
            "verified": rule.verified,
            "valid_from": rule.valid_from,
            "valid_to": rule.valid_to,
            "fingerprint": rule.fingerprint,
        }
        for rule in cat.rules
    ]
    texts = ("title", "form_id", "dimension", "severity", "grain", "carrier", "expression", "message", "basis")
    schema: Mapping[str, Any] = {
        "rule_id": pl.String,
        "version": pl.Int32,
        **dict.fromkeys(texts, pl.String),
        "verified": pl.Boolean,
        "valid_from": pl.Date,
        "valid_to": pl.Date,
        "fingerprint": pl.String,
    }
    return pl.DataFrame(rows, schema=schema)


def _results_sql(nights: list[Path]) -> str:
    """The results of the newest date's nights in full, and of each night before it the totals over fields."""
    columns = columns_sql(NIGHT_RESULT)
    parts = []
    for night in nights:
        told = read_night(night)
        table = "results" if night.name[:10] == nights[-1].name[:10] else "totals"
        parts.append(
            f"SELECT {literal(told['run_id'])} AS run_id, DATE {literal(told['snapshot_date'])} AS snapshot_date, "
            f"{columns} FROM read_parquet({literal(night / f'{table}.parquet')})"
        )
    return " UNION ALL BY NAME ".join(parts) or empty_select(
        {"run_id": "VARCHAR", "snapshot_date": "DATE", **NIGHT_RESULT}
    )


def _institutions_sql(nights: list[Path]) -> str:
    parts = [
        f"SELECT {literal(read_night(night)['run_id'])} AS run_id, {columns_sql(NIGHT_INSTITUTION)} "
        f"FROM read_parquet({literal(night / 'institutions.parquet')})"
        for night in nights
    ]
    return " UNION ALL BY NAME ".join(parts) or empty_select({"run_id": "VARCHAR", **NIGHT_INSTITUTION})


def _sampled_sql(nights: list[Path]) -> str:
    """The records drawn, where the night whose figures are shown is one of a sample."""
    shown = leading_night(nights) if nights else None
    if shown is None or not read_night(shown).get("sampled"):
        return empty_select(PRESENT)
    drawn = literal(shown / "present.parquet")
    return f"SELECT {columns_sql(PRESENT)} FROM read_parquet({drawn}) WHERE subject_kind = 'record'"


def _lay_schemes(cat: Catalogue, plan: Plan | None, inputs: Path) -> None:
    """The schemes that score, as tables: without a plan, every one there is."""
    schemes = list(cat.schemes.values()) if plan is None else scoring_schemes(cat, plan)
    judging = schemes[0].scheme_id if schemes and plan is None else plan.scheme if plan else ""
    scheme_table(schemes, judging).write_parquet(inputs / "scheme.parquet")
    scheme_rule_table(cat, schemes).write_parquet(inputs / "scheme_rule.parquet")
    scheme_form_table(schemes).write_parquet(inputs / "scheme_form.parquet")


def _masked_answers(connection: duckdb.DuckDBPyConnection, given: Iterable[Path]) -> pl.DataFrame | None:
    """The answers without what they say of the person their row is about, or of any number like one of a person."""
    frames = [pl.read_parquet(path) for path in given]
    if not frames:
        return None
    kinds = {"person_name": "name", "id_number": "id_number"}
    masks = [mask_personal(pl.col(name), kind).alias(f"masked_{name}") for name, kind in kinds.items()]
    connection.register("answers_given", pl.concat(frames).with_columns(masks).to_arrow())
    said = "explanation"
    for name in kinds:
        said = f"CASE WHEN length({name}) > 1 THEN replace({said}, {name}, masked_{name}) ELSE {said} END"
    answers: pl.DataFrame = connection.execute(f"SELECT * REPLACE ({said} AS explanation) FROM answers_given").pl()
    return answers.with_columns(mask_numbers(pl.col("explanation")))


def _rejected_sql(connection: duckdb.DuckDBPyConnection, given: Iterable[Path] | pl.DataFrame | None) -> str:
    if given is None or isinstance(given, pl.DataFrame):
        return _shaped(connection, "rejected_row", given, REJECTED_ROW)
    paths = [str(path) for path in given]
    if not paths:
        return empty_select(REJECTED_ROW)
    return f"SELECT {columns_sql(REJECTED_ROW)} FROM read_parquet({literal(paths)}, union_by_name = true)"


def _shaped(
    connection: duckdb.DuckDBPyConnection, name: str, frame: pl.DataFrame | None, shape: Mapping[str, str]
) -> str:
    """A frame in the shape its model reads; a column it does not have is NULL, one more is left out."""
    if frame is None or not frame.width:
        return empty_select(dict(shape))
    connection.register(f"given_{name}", frame.to_arrow())
    cells = ", ".join(
        f'CAST("{column}" AS {kind}) AS "{column}"' if column in frame.columns else f'NULL::{kind} AS "{column}"'
        for column, kind in shape.items()
    )
    return f"SELECT {cells} FROM given_{name}"


def _lay(connection: duckdb.DuckDBPyConnection, target: Path, query: str) -> None:
    target.unlink(missing_ok=True)
    connection.execute(f"COPY ({query}) TO {literal(target)} (FORMAT parquet, COMPRESSION zstd)")


def _point(link: Path, target: Path) -> None:
    """Let ``link`` stand for ``target``: a state may be gigabytes, it is not copied to be read once."""
    link.unlink(missing_ok=True)
    link.symlink_to(target.resolve())
