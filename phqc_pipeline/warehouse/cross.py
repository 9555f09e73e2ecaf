"""What the cross models found, as findings and results of the same shape as the record rules'.

Belongs here: reading the cross models' tables, the statuses of the rules dbt carries, their messages.
Does not belong here: the questions themselves (``dbt_project/models/cross``).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import duckdb
import polars as pl

from phqc_pipeline.catalogue import Catalogue, Context, Rule, Scheme
from phqc_pipeline.checks import NOT_RECEIVED
from phqc_pipeline.home import Home
from phqc_pipeline.warehouse.db import identifier, literal, open_duckdb
from phqc_pipeline.warehouse.dbt_runner import DbtRun, run_dbt
from phqc_pipeline.warehouse.report_inputs import lay_severe_records
from phqc_pipeline.warehouse.shapes import JUDGED_FINDING, JUDGED_RESULT, PERIOD_SUBJECT, PRESENT, period_subject_sql
from phqc_pipeline.warehouse.staging import cross_rules, rule_instances

if TYPE_CHECKING:
    from phqc_pipeline.extracts import Delivery

#: Subjects that no record makes present; the models' own populations do.
_OWN_SUBJECTS = ("doctor", "institution")
#: Subjects a sample of records can speak for.
_SAMPLED_SUBJECTS = ("record", "person")
#: Behind all models at once: a join behind each of a hundred models would need more memory than there is.
_OF_DRAWN = """SEMI JOIN drawn AS d ON d.institution_code = c.institution_code AND d.form_id = c.form_id
    AND d.subject_kind = c.subject_kind AND d.subject_id = c.subject_id"""
_NOT_SAMPLED = "抽样计划只判抽到的记录和居民，不判医生、机构和家庭"
_PLACEHOLDER = re.compile(r"\{(\w+)\}")
_COUNTS: dict[str, Any] = {"rule_id": pl.String, "form_id": pl.String, "institution_code": pl.String} | dict.fromkeys(
    ("checked", "applicable", "violated"), pl.Int64
)


@dataclass(frozen=True)
class CrossJudgement:
    """What a night's cross rules came to. ``errors``: one line a rule that could not be asked."""

    findings: int
    results: int
    errors: tuple[str, ...]


@dataclass(frozen=True)
class Instance:
    """One cross rule on the form it reports on; ``versions`` those asked tonight, the newest last."""

    form_id: str
    versions: tuple[Rule, ...]

    @property
    def rule(self) -> Rule:
        return self.versions[-1]


def run_cross(
    home: Home,
    cat: Catalogue,
    deliveries: Sequence[Delivery],
    ctx: Context,
    out: Path,
    *,
    scheme: Scheme,
    manifest: Any = None,
    institutions: Collection[str] | None = None,
    sample: Path | None = None,
    refused: Mapping[str, str] | None = None,
) -> tuple[CrossJudgement, DbtRun]:
    """Build staging and cross models with their rules' tests, and read what they found (see ``judge_cross``).

    The record rules' findings lie beside ``out`` (``records/``), if they were judged: what a report counts as managed
    as required has no severe one.
    """
    lay_severe_records(home, out.parent / "records" / "findings")
    run = run_dbt(home, ["build", "--select", "path:models/staging", "path:models/cross"], manifest)
    told = judge_cross(
        home,
        cat,
        deliveries,
        ctx,
        run,
        out,
        scheme=scheme,
        institutions=institutions,
        sample=sample,
        refused=refused,
    )
    return told, run


def judge_cross(
    home: Home,
    cat: Catalogue,
    deliveries: Sequence[Delivery],
    ctx: Context,
    run: DbtRun,
    out: Path,
    *,
    scheme: Scheme,
    institutions: Collection[str] | None = None,
    sample: Path | None = None,
    refused: Mapping[str, str] | None = None,
) -> CrossJudgement:
    """Findings, results and subjects of the rules dbt carries, from the cross models ``run`` built.

    Writes ``out/findings.parquet``, ``out/results.parquet``, ``out/present.parquet``. ``institutions``: those to
    report on (None: those with any delivery). A model that failed is the error of its rules and of nobody else.
    ``sample``: the only records, and their people, to report on (``checks.draw_sample``); what is compared with them
    stays everything. ``refused``: institution → why it may not be judged.
    """
    out.mkdir(parents=True, exist_ok=True)
    asked = list(_instances(cat, ctx, scheme))
    broken = _broken_models(run, asked)
    whose = sorted(institutions if institutions is not None else {one.institution_code for one in deliveries})
    obstacles = Obstacles(cat, deliveries, _meta(run), sampled=sample is not None, refused=refused or {})
    names = sorted({str(one.rule.model) for one in asked} - set(broken))
    models = {name: _table(name) for name in names}
    with open_duckdb(home.warehouse_db, scratch=home.warehouse / "tmp") as connection:
        if sample is not None:
            connection.execute(_drawn_sql(sample))
        only = _OF_DRAWN if sample is not None else ""
        counts = _counts(connection, models.values(), only)
        results = _results(asked, whose, counts, broken, obstacles)
        results.write_parquet(out / "results.parquet")
        connection.register("results", results.to_arrow())
        connection.register("wording", _wording(asked).to_arrow())
        found = connection.execute(_findings_sql(models, asked, only, out / "findings.parquet")).fetchone()
        connection.execute(_present_sql(models.values(), only, out / "present.parquet"))
    errors = tuple(f"{one.rule.rule_id}：{broken[str(one.rule.model)]}" for one in asked if one.rule.model in broken)
    return CrossJudgement(int(found[0]) if found else 0, results.height, tuple(dict.fromkeys(errors)))


class Obstacles:
    """Why a rule cannot be asked of an institution: it may not be judged, a form was not received, a required column
    is missing (0a.8, 0a.18)."""

    def __init__(
        self,
        cat: Catalogue,
        deliveries: Sequence[Delivery],
        meta: Mapping[str, Any],
        *,
        sampled: bool = False,
        refused: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self._cat = cat
        self._refused = refused
        self._missing = {(one.institution_code, one.form_id): one.missing_columns for one in deliveries}
        self._meta = meta
        self._sampled = sampled

    def reason(self, one: Instance, institution: str) -> str | None:
        """The reason in Chinese, or None when nothing stands in the way."""
        rule = one.rule
        if institution in self._refused:
            return self._refused[institution]
        if self._sampled and rule.subject_kind not in _SAMPLED_SUBJECTS:
            return _NOT_SAMPLED
        if (institution, one.form_id) not in self._missing:
            return NOT_RECEIVED
        # Of several forms a rule reports on, each is judged with whatever there is of the others.
        meta = self._meta.get(str(rule.model), {})
        not_needed = {*rule.form_ids, *meta.get("optional_forms", ())}
        others = [form_id for form_id in rule.reads if form_id not in not_needed]
        received = [form_id for form_id in others if (institution, form_id) in self._missing]
        if meta.get("reads") == "any":
            if others and not received:
                listed = "、".join(self._title(form_id) for form_id in others[:3])
                return f"{NOT_RECEIVED}：{listed}{'等' if len(others) > 3 else ''}中的任何一张"
            needed = [one.form_id]
        else:
            lacking = [form_id for form_id in others if form_id not in received]
            if lacking:
                return f"{NOT_RECEIVED}：{'、'.join(self._title(form_id) for form_id in lacking)}"
            needed = [one.form_id, *others]
        columns = [told for form_id in needed for told in self._lacking_columns(rule, form_id, institution)]
        return f"缺少列：{'、'.join(columns)}" if columns else None

    def _lacking_columns(self, rule: Rule, form_id: str, institution: str) -> list[str]:
        """Required columns the rule reads and the delivery lacks; of a report, every item it reads."""
        missing = self._missing[institution, form_id]
        if form_id in self._cat.reports:
            items = self._cat.reports[form_id].by_item
            return [
                f"{items[name].title}（{form_id}.{name}）"
                for name in sorted(missing & set(rule.reads.get(form_id, ())))
            ]
        form = self._cat.forms[form_id]
        asked = rule.reads.get(form_id, rule.own_reads) or ("archive_no", "service_date", *form.stage)
        read = {form.service_date if name == "service_date" else name for name in asked}
        blocking = form.blocking(missing) & read
        return [f"{form.field(name).title}（{form_id}.{name}）" for name in sorted(blocking)]

    def _title(self, form_id: str) -> str:
        known = self._cat.forms.get(form_id) or self._cat.reports.get(form_id)
        return known.title if known else form_id


def read_forms(cat: Catalogue, ctx: Context) -> pl.DataFrame:
    """rule_id, form_id, reads_form: the forms a cross rule reads beside the one it reports on."""
    rows = [
        (rule.rule_id, form_id, read)
        for rule in cross_rules(cat, ctx)
        for form_id in rule_instances(rule, cat)
        for read in rule.reads
        if read != form_id
    ]
    columns = {"rule_id": pl.String, "form_id": pl.String, "reads_form": pl.String}
    return pl.DataFrame(rows, schema=columns, orient="row").unique(maintain_order=True)


def _instances(cat: Catalogue, ctx: Context, scheme: Scheme) -> Iterator[Instance]:
    versions: dict[tuple[str, str], list[Rule]] = {}
    for rule in cross_rules(cat, ctx):
        for form_id in rule_instances(rule, cat):
            if scheme.takes(rule.rule_id, form_id):
                versions.setdefault((rule.rule_id, form_id), []).append(rule)
    for (_, form_id), found in versions.items():
        yield Instance(form_id, tuple(sorted(found, key=lambda rule: rule.version)))


def _broken_models(run: DbtRun, asked: Sequence[Instance]) -> dict[str, str]:
    """Model → why there is nothing of it: not built, not even there, or behind one that was not built."""
    built = {node.name: node for node in run.of("model")}
    broken = {}
    for model in {str(one.rule.model) for one in asked}:
        node = built.get(model)
        if node is None:
            broken[model] = f"dbt 项目里没有模型 {model}"
        elif not node.is_good:
            why = "它所依赖的模型没有建成" if node.status == "skipped" else node.problem
            broken[model] = f"模型 {model} 没有建成：{why}"
    return broken


def _meta(run: DbtRun) -> dict[str, dict[str, Any]]:
    """Model → its ``meta``. ``reads: any``: rules that look through other forms for what they have, one of them is
    enough; ``optional_forms``: what a rule reads of these is used where it was delivered, and not missed elsewhere."""
    nodes: dict[str, Any] = getattr(run.manifest, "nodes", {})
    return {node.name: dict(node.config.meta or {}) for node in nodes.values()}


def _counts(connection: duckdb.DuckDBPyConnection, tables: Collection[str], only: str) -> pl.DataFrame:
    if not tables:
        return pl.DataFrame(schema=_COUNTS)
    columns = "rule_id, form_id, institution_code, subject_kind, subject_id, violated"
    union = " UNION ALL ".join(f"SELECT {columns} FROM {table}" for table in tables)
    found: pl.DataFrame = connection.execute(
        "SELECT rule_id, form_id, institution_code, count(*) AS checked, count(violated) AS applicable, "
        f"count(*) FILTER (violated) AS violated FROM ({union}) AS c {only} GROUP BY ALL"
    ).pl()
    return found.cast(pl.Schema(_COUNTS))


def _results(
    asked: Sequence[Instance],
    institutions: Sequence[str],
    counts: pl.DataFrame,
    broken: dict[str, str],
    obstacles: Obstacles,
) -> pl.DataFrame:
    """One row an institution, form and rule. A few thousand at most: this is the list of rules, not of records."""
    counted = {row[:3]: row[3:] for row in counts.iter_rows()}
    rows = []
    for one in asked:
        rule = one.rule
        for institution in institutions:
            figures, reason = (0, 0, 0), ""
            if rule.model in broken:
                status, reason = "error", broken[str(rule.model)]
            elif obstacle := obstacles.reason(one, institution):
                status, reason = "not_evaluable", obstacle
            else:
                figures = counted.get((rule.rule_id, one.form_id, institution), figures)
                if rule.needs and not figures[0]:
                    status, reason = "not_evaluable", f"没有数据：{rule.needs}"
                else:
                    status = "not_applicable" if not figures[1] else "fail" if figures[2] else "pass"
            rows.append((institution, one.form_id, rule.rule_id, rule.field, status, *figures, reason))
    types = {"VARCHAR": pl.String, "BIGINT": pl.Int64}
    return pl.DataFrame(rows, schema={name: types[kind] for name, kind in JUDGED_RESULT.items()}, orient="row")


def _wording(asked: Sequence[Instance]) -> pl.DataFrame:
    """What the catalogue says of each rule version, to be joined to what was found."""
    return pl.DataFrame(
        [
            {
                "rule_id": rule.rule_id,
                "rule_version": rule.version,
                "form_id": one.form_id,
                "rule_fingerprint": rule.fingerprint,
                "dimension": rule.dimension,
                "severity": rule.severity,
                "suggestion": rule.suggestion.text if rule.suggestion else None,
                "root_item": rule.root,
            }
            for one in asked
            for rule in one.versions
        ],
        schema={
            "rule_id": pl.String,
            "rule_version": pl.Int32,
            **dict.fromkeys(
                ("form_id", "rule_fingerprint", "dimension", "severity", "suggestion", "root_item"), pl.String
            ),
        },
    )


def _findings_sql(models: Mapping[str, str], asked: Sequence[Instance], only: str, target: Path) -> str:
    """What is violated where it could be judged, with its message. ``only``: a further join, of a sample."""
    rules = [rule for one in asked if one.rule.model in models for rule in one.versions]
    messages = " ".join(
        f"WHEN c.rule_id = {literal(rule.rule_id)} AND c.rule_version = {rule.version} THEN {_message_sql(rule)}"
        for rule in {rule.key: rule for rule in rules}.values()
    )
    columns = ", ".join(f"CAST({_source(name)} AS {kind}) AS {name}" for name, kind in JUDGED_FINDING.items())
    union = " UNION ALL BY NAME ".join(f"SELECT * FROM {table} AS c WHERE violated" for table in models.values())
    if not models:
        union = "SELECT " + ", ".join(f"NULL::{kind} AS {name}" for name, kind in JUDGED_FINDING.items())
        union += " WHERE FALSE"
        messages = "WHEN FALSE THEN ''"
    return f"""COPY (
        SELECT {columns.replace("c.message", f"CASE {messages} END")}
        FROM ({union}) AS c
        JOIN wording AS w ON w.rule_id = c.rule_id AND w.rule_version = c.rule_version AND w.form_id = c.form_id
        SEMI JOIN results AS r ON r.institution_code = c.institution_code AND r.form_id = c.form_id
            AND r.rule_id = c.rule_id AND r.status = 'fail'
        {only}
    ) TO {literal(target)} (FORMAT parquet, COMPRESSION zstd)"""


def _source(name: str) -> str:
    told = ("rule_fingerprint", "dimension", "severity", "suggestion", "root_item")
    return f"w.{name}" if name in told else f"c.{name}"


def _message_sql(rule: Rule) -> str:
    """The message as SQL: placeholders are the finding's own columns or the rule's parameters."""
    parts: list[str] = []
    end = 0
    for found in _PLACEHOLDER.finditer(rule.message):
        name = found.group(1)
        parts.append(literal(rule.message[end : found.start()]))
        if name in rule.params:
            parts.append(literal(_told(rule.params[name])))
        else:
            parts.append(f"coalesce(CAST(c.{name} AS VARCHAR), '')")
        end = found.end()
    parts.append(literal(rule.message[end:]))
    return f"concat({', '.join(parts)})"


def _table(model: str) -> str:
    return f'"cross".{identifier(model)}'


def _drawn_sql(sample: Path) -> str:
    """The records drawn and their people as table ``drawn``, one row a subject."""
    keys = {"record": "record_key", "person": "archive_no"}
    subjects = " UNION ".join(
        f"SELECT institution_code, form_id, {literal(kind)} AS subject_kind, {keys[kind]} AS subject_id "
        f"FROM read_parquet({literal(sample)})"
        for kind in _SAMPLED_SUBJECTS
    )
    return f"CREATE TEMP TABLE drawn AS {subjects}"


def _told(value: Any) -> str:
    return "、".join(str(item) for item in value) if isinstance(value, (list, tuple)) else str(value)


def _present_sql(tables: Collection[str], only: str, target: Path) -> str:
    kinds = ", ".join(literal(kind) for kind in _OWN_SUBJECTS)
    known = f"WHERE subject_kind IN ({kinds}) AND subject_id IS NOT NULL"
    span = f"{literal(PERIOD_SUBJECT)} AS subject_kind, {period_subject_sql('subject_id', 'period')} AS subject_id"
    union = (
        " UNION ALL ".join(
            f"SELECT institution_code, form_id, subject_kind, subject_id FROM {table} {known} "
            f"UNION ALL SELECT institution_code, form_id, {span} FROM {table} {known} AND period <> ''"
            for table in tables
        )
        or "SELECT " + ", ".join(f"NULL::{kind} AS {name}" for name, kind in PRESENT.items()) + " WHERE FALSE"
    )
    return f"COPY (SELECT DISTINCT c.* FROM ({union}) AS c {only}) TO {literal(target)} (FORMAT parquet)"
