"""A night's judgements as one immutable folder, laid down whole or not at all.

Belongs here: gathering what both carriers judged into ``HOME/nights/<date>/``, the names of findings, and the
fingerprints that tell whether a night would be judged otherwise today. Does not belong here: judging, folding.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import polars as pl

from phqc_pipeline.catalogue import Catalogue, Context, Plan, Scheme
from phqc_pipeline.home import Home, parse_folder_date
from phqc_pipeline.warehouse.cross import read_forms
from phqc_pipeline.warehouse.db import columns_sql, empty_select, literal, open_duckdb
from phqc_pipeline.warehouse.files import replace_folder
from phqc_pipeline.warehouse.shapes import (
    JUDGED_FINDING,
    JUDGED_RESULT,
    NIGHT_FINDING,
    NIGHT_RESULT,
    NIGHT_RULE,
    PRESENT,
)
from phqc_pipeline.warehouse.staging import cross_rules, rule_instances

if TYPE_CHECKING:
    from phqc_pipeline.extracts import Delivery, HeldBack

#: Statuses of a rule that was judged; the two others leave its findings as they were.
JUDGED_STATUSES = ("pass", "fail", "not_applicable")
_WORST_FIRST = ("error", "fail", "not_evaluable", "pass", "not_applicable")

_FINDING_ID = "md5(concat_ws('|', rule_id, institution_code, form_id, subject_id, field, period))"
_ROOT_ID = f"""CASE WHEN root_item IS NOT NULL AND archive_no IS NOT NULL
    THEN md5(concat_ws('|', 'root', institution_code, archive_no, root_item)) ELSE {_FINDING_ID} END"""


def finding_id(rule_id: str, institution_code: str, form_id: str, subject_id: str, field: str, period: str) -> str:
    """The finding's name, the same every night (contract, section 3); equals what the night's SQL computes."""
    return hashlib.md5("|".join((rule_id, institution_code, form_id, subject_id, field, period)).encode()).hexdigest()


def assemble_night(
    home: Home,
    cat: Catalogue,
    ctx: Context,
    *,
    plan: Plan,
    scheme: Scheme,
    deliveries: Sequence[Delivery],
    records: Path,
    cross: Path,
    records_checked: int,
    started_at: datetime,
    finished_at: datetime,
    held_back: Iterable[HeldBack] = (),
    registry_fingerprint: str = "",
    refused: Collection[str] = (),
    run_id: str | None = None,
    institutions: Mapping[str, str] | None = None,
    only: Sequence[str] = (),
    particulars: Mapping[str, Any] | None = None,
) -> Path:
    """The plan's night of ``ctx.today`` from what both carriers judged, as its folder; an older one is replaced.

    ``held_back``: deliveries that wait for a clerk; what reads such a form is not judged. ``records``: the folder
    ``checks.judge_records`` wrote; ``cross``: the one ``run_cross`` wrote. ``refused``: institutions that were not
    entitled to be judged. ``started_at``, ``finished_at``: Asia/Shanghai, without a zone. ``run_id``: without one, the
    same for the same plan, date, inputs and catalogue. ``institutions``: code → why it was not judged (empty: it was);
    ``only``: those a run by hand was limited to. ``particulars``: more for ``night.json``.
    """
    held = list(held_back)
    inputs = input_fingerprint(deliveries, held, refused)
    told = _digest(inputs, cat.fingerprint, plan.plan_id, scheme.scheme_id, ctx.period, registry_fingerprint, *only)
    return write_night(
        home,
        ctx.today,
        part=part_of(only),
        particulars={
            **(particulars or {}),
            "run_id": run_id or f"{plan.plan_id}-{ctx.today:%Y%m%d}-{told[:8]}",
            "plan_id": plan.plan_id,
            "only": sorted(only),
            "sampled": plan.sampling is not None,
            "active_plans": sorted(one.plan_id for one in cat.plans.values() if one.active),
            "scheme_id": scheme.scheme_id,
            "period": ctx.period,
            "inputs": inputs,
            "not_entitled": sorted(refused),
            "catalogue_fingerprint": cat.fingerprint,
            "registry_fingerprint": registry_fingerprint,
            "records_checked": records_checked,
            "started_at": started_at.isoformat(timespec="seconds"),
            "finished_at": finished_at.isoformat(timespec="seconds"),
        },
        findings=[*sorted((records / "findings").glob("*.parquet")), cross / "findings.parquet"],
        results=[records / "results.parquet", cross / "results.parquet"],
        present=[*sorted((records / "present").glob("*.parquet")), cross / "present.parquet"],
        rules=_rules_in_force(cat, ctx, scheme),
        held_back=sorted({(one.institution_code, one.form_id) for one in held}),
        reads=read_forms(cat, ctx),
        institutions=institutions,
        deliveries=deliveries,
    )


def part_of(only: Sequence[str]) -> str:
    """The part of a night's name that stands for the institutions a run by hand was limited to; empty for all."""
    return _digest(*sorted(only))[:8] if only else ""


def input_fingerprint(
    deliveries: Iterable[Delivery], held_back: Iterable[HeldBack] = (), refused: Iterable[str] = ()
) -> str:
    """What a night was judged on: the deliveries in force on its date, which institution's form is held back, and who
    was not entitled to be judged."""
    told = sorted(f"{one.institution_code} {one.form_id} {one.snapshot_date} {one.fingerprint}" for one in deliveries)
    held = sorted({f"{one.institution_code} {one.form_id}" for one in held_back})
    away = sorted(refused)
    return _digest(*told, "held back", *held, *(["not entitled", *away] if away else []))


def list_nights(home: Home) -> list[Path]:
    """The folders of all nights, in order of date, and on one date of plan."""
    if not home.nights.is_dir():
        return []
    dated = [(parse_folder_date(path.name.split(".")[0]), path) for path in home.nights.iterdir()]
    found = [(day, path.name, path) for day, path in dated if day is not None and "." in path.name]
    return [path for _, _, path in sorted(found)]


def leading_night(nights: Sequence[Path]) -> Path:
    """Of the newest date's nights the one whose figures stand for it: not of a sample or a part, with most records."""
    newest = nights[-1].name[:10]
    told = {night: read_night(night) for night in nights if night.name.startswith(newest)}
    return min(
        told, key=lambda night: (_is_partial(told[night]), -(told[night].get("records_checked") or 0), night.name)
    )


def _is_partial(told: Mapping[str, Any]) -> bool:
    return bool(told.get("sampled") or told.get("only"))


def write_night(
    home: Home,
    snapshot: date,
    *,
    particulars: Mapping[str, Any],
    findings: Iterable[Path],
    results: Iterable[Path],
    present: Iterable[Path],
    rules: pl.DataFrame,
    held_back: Iterable[tuple[str, str]] = (),
    reads: pl.DataFrame | None = None,
    institutions: Mapping[str, str] | None = None,
    deliveries: Sequence[Delivery] = (),
    part: str = "",
) -> Path:
    """Lay down a plan's night of ``snapshot`` from Parquet parts of both carriers; an older one is replaced.

    ``particulars``: what ``night.json`` tells (run_id, plan_id, period, fingerprints …). ``rules``: rule_id, form_id,
    field, period_scoped of every rule in force. ``held_back``: (institution, form) whose delivery waits for
    acceptance; ``reads``: rule_id, form_id, reads_form for rules that read more than their own form. What reads a
    delivery held back is not judged: the old snapshot says nothing about today. ``institutions``: code → why it was not
    judged; ``deliveries``: what was judged, for a replay.
    """
    held = list(held_back)
    target = home.night(snapshot, str(particulars["plan_id"]), part)
    with replace_folder(target) as folder, open_duckdb(scratch=home.warehouse / "tmp") as connection:
        pairs = pl.DataFrame(held, schema={"institution_code": pl.String, "form_id": pl.String}, orient="row")
        connection.register("held_given", pairs.to_arrow())
        connection.execute("CREATE TEMP TABLE held AS SELECT * FROM held_given")
        connection.register("reads_given", (_no_reads() if reads is None else reads).to_arrow())
        connection.execute("CREATE TEMP TABLE reads AS SELECT * FROM reads_given")
        connection.register("rules_given", rules.to_arrow())
        connection.execute(_copy("SELECT * FROM rules_given ORDER BY ALL", folder / "rules.parquet"))
        connection.execute(_copy(named_findings_sql(findings), folder / "findings.parquet"))
        connection.execute(_copy(_results_sql(results), folder / "results.parquet"))
        connection.execute(_copy(_totals_sql(folder / "results.parquet"), folder / "totals.parquet"))
        connection.execute(_copy(_present_sql(present), folder / "present.parquet"))
        connection.register("institutions_given", _institutions(institutions or {}).to_arrow())
        connection.execute(_copy(_institutions_sql(folder / "present.parquet"), folder / "institutions.parquet"))
        _write_deliveries(folder, deliveries, held)
        counted = connection.execute(f"SELECT count(*) FROM read_parquet({literal(folder / 'findings.parquet')})")
        told = {
            **particulars,
            "snapshot_date": snapshot.isoformat(),
            "findings": counted.fetchall()[0][0],
            "content": _content(connection, folder),
            "findings_digest": findings_digest(connection, folder),
        }
        (folder / "night.json").write_text(json.dumps(told, ensure_ascii=False, indent=1), encoding="utf-8")
    return target


def read_night(night: Path) -> dict[str, Any]:
    """What ``night.json`` of a night's folder tells."""
    told: dict[str, Any] = json.loads((night / "night.json").read_text(encoding="utf-8"))
    return told


def _rules_in_force(cat: Catalogue, ctx: Context, scheme: Scheme) -> pl.DataFrame:
    """Every rule of the scheme as instantiated tonight; what is no longer among them is withdrawn."""
    every = [(check.rule, form_id, check.field, False) for form_id in cat.forms for check in cat.checks(form_id)]
    every += [
        (rule, form_id, rule.field, rule.period_scoped)
        for rule in cross_rules(cat, ctx)
        for form_id in rule_instances(rule, cat)
    ]
    rows = [
        (rule.rule_id, form_id, field, scoped, rule.fingerprint)
        for rule, form_id, field, scoped in every
        if scheme.takes(rule.rule_id, form_id)
    ]
    schema = {**dict.fromkeys(NIGHT_RULE, pl.String), "period_scoped": pl.Boolean}
    return pl.DataFrame(rows, schema=schema, orient="row").unique(maintain_order=True)


def findings_digest(connection: duckdb.DuckDBPyConnection, night: Path) -> str:
    """A digest of a night's findings, the same whatever the order of rows or the version of DuckDB."""
    table = f"read_parquet({literal(night / 'findings.parquet')})"
    told = connection.execute(
        f"SELECT count(*), sum(md5_number_lower(CAST(f AS VARCHAR))) FROM {table} AS f"
    ).fetchall()
    return _digest(str(told))


def _institutions(reasons: Mapping[str, str]) -> pl.DataFrame:
    columns = {"institution_code": pl.String, "reason": pl.String}
    return pl.DataFrame(sorted(reasons.items()), schema=columns, orient="row")


def _institutions_sql(present: Path) -> str:
    """Whom the night was to judge, with the forms and records it did."""
    return f"""
        WITH counted AS (
            SELECT institution_code, count(DISTINCT form_id) AS forms, count(*) AS records
            FROM read_parquet({literal(present)}) WHERE subject_kind = 'record' GROUP BY institution_code
        )
        SELECT institution_code, coalesce(g.reason, '') = '' AS judged, nullif(g.reason, '') AS reason,
            coalesce(c.forms, 0) AS forms, coalesce(c.records, 0) AS records
        FROM institutions_given AS g FULL JOIN counted AS c USING (institution_code) ORDER BY institution_code"""


def _write_deliveries(folder: Path, deliveries: Sequence[Delivery], held: Sequence[tuple[str, str]]) -> None:
    """What was in force when the night was judged: a replay asks for the same."""
    told = {
        "in_force": [
            {
                "institution_code": one.institution_code,
                "form_id": one.form_id,
                "snapshot_date": one.snapshot_date.isoformat(),
                "fingerprint": one.fingerprint,
                "missing_columns": sorted(one.missing_columns),
                "files": [{"file_id": file.file_id, "rows": file.rows} for file in one.files],
            }
            for one in deliveries
        ],
        "held_back": [list(pair) for pair in held],
    }
    (folder / "deliveries.json").write_text(json.dumps(told, ensure_ascii=False), encoding="utf-8")


def _digest(*told: str) -> str:
    return hashlib.blake2b("\n".join(told).encode(), digest_size=16).hexdigest()


def named_findings_sql(parts: Iterable[Path]) -> str:
    """Every violation once, with its names (NIGHT_FINDING): two carriers' parts never share a rule, but one subject may
    be reached twice."""
    return f"""
        WITH named AS (
            SELECT {_FINDING_ID} AS finding_id, {_ROOT_ID} AS root_id, *
            FROM (
                SELECT * REPLACE (coalesce(field, '') AS field, coalesce(period, '') AS period)
                FROM ({_read(parts, JUDGED_FINDING)})
            )
        ),
        -- names first, then only the few rows behind them: a window over all columns would not fit in memory
        twice AS (SELECT finding_id FROM named GROUP BY finding_id HAVING count(*) > 1),
        once AS (
            SELECT * FROM named ANTI JOIN twice USING (finding_id)
            UNION ALL BY NAME
            SELECT * FROM named SEMI JOIN twice USING (finding_id)
            QUALIFY row_number() OVER (
                PARTITION BY finding_id ORDER BY service_date DESC NULLS LAST, record_id, observed) = 1
        )
        SELECT {columns_sql(NIGHT_FINDING)} FROM once"""


def _results_sql(parts: Iterable[Path]) -> str:
    statuses = ", ".join(literal(status) for status in JUDGED_STATUSES)
    return f"""
        SELECT {columns_sql(NIGHT_RESULT)} FROM (
            SELECT r.* REPLACE (coalesce(r.field, '') AS field, nullif(r.reason, '') AS reason),
                r.status IN ({statuses}) AND NOT EXISTS (
                    SELECT 1 FROM held AS h WHERE h.institution_code = r.institution_code AND (h.form_id = r.form_id
                        OR h.form_id IN (SELECT reads_form FROM reads AS d
                            WHERE d.rule_id = r.rule_id AND d.form_id = r.form_id))
                ) AS judged
            FROM ({_read(parts, JUDGED_RESULT)}) AS r
        ) ORDER BY institution_code, form_id, rule_id, field"""


def _totals_sql(results: Path) -> str:
    """Each rule's results added up over its fields, the worst status first: what later nights publish of this one."""
    worst = " ".join(f"WHEN bool_or(status = {literal(status)}) THEN {literal(status)}" for status in _WORST_FIRST)
    told = "any_value(reason) FILTER (status IN ('error', 'not_evaluable'))"
    return f"""
        SELECT institution_code, form_id, rule_id, '' AS field, CASE {worst} END AS status,
            sum(checked)::BIGINT AS checked, sum(applicable)::BIGINT AS applicable, sum(violated)::BIGINT AS violated,
            {told} AS reason, bool_and(judged) AS judged
        FROM read_parquet({literal(results)}) GROUP BY institution_code, form_id, rule_id
        ORDER BY institution_code, form_id, rule_id"""


def _present_sql(parts: Iterable[Path]) -> str:
    return f"SELECT {columns_sql(PRESENT)} FROM ({_read(parts, PRESENT)})"


def _content(connection: duckdb.DuckDBPyConnection, folder: Path) -> str:
    """A fingerprint of what the night says, whatever order the rows lie in (sorting millions would only cost)."""
    told = []
    for name in ("findings", "results", "present", "rules"):
        table = f"read_parquet({literal(folder / f'{name}.parquet')})"
        told += connection.execute(f"SELECT count(*), sum(hash(t)) FROM {table} AS t").fetchall()
    return _digest(*map(str, told))


def _read(parts: Iterable[Path], shape: dict[str, str]) -> str:
    """The parts as one relation in this shape; parts may have more columns, or none may be there."""
    paths = [str(path) for path in parts]
    if not paths:
        return empty_select(shape)
    cast = ", ".join(f'CAST("{name}" AS {kind}) AS "{name}"' for name, kind in shape.items())
    return f"SELECT {cast} FROM read_parquet({literal(paths)}, union_by_name = true)"


def _copy(query: str, target: Path) -> str:
    return f"COPY ({query}) TO {literal(target)} (FORMAT parquet, COMPRESSION zstd)"


def _no_reads() -> pl.DataFrame:
    return pl.DataFrame(schema={"rule_id": pl.String, "form_id": pl.String, "reads_form": pl.String})
