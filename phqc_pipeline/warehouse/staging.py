"""From the catalogue in force and the deliveries of a night to a dbt project that can be run.

Belongs here: the working copy of ``dbt_project/`` below HOME/warehouse, the models of each form (generated, since the
catalogue decides which forms there are and what their columns mean), the vars and the files handed in.
Does not belong here: running dbt (``dbt_runner``), the questions asked (``dbt_project/models``).

Generated for every form: ``replaced_<form>`` (rows that share a record number), ``stg_<form>`` (current rows, as
delivered), ``judged_<form>`` (rows that take part, unusable cells NULL) and ``records_<form>`` (published). They are
views over the lake's Parquet files, so a model reads only the columns it names. ``judged_record`` is a narrow table of
what all forms have alike: a question asked of every form reads it once, not thirty views of a hundred columns each.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import polars as pl
import yaml

from phqc_pipeline.catalogue import Catalogue, Context, Field, Form, Rule, Scheme
from phqc_pipeline.catalogue.expressions import parse_expression, to_duckdb, unusable_duckdb, usable_duckdb
from phqc_pipeline.checks.masking import mask_misplaced_id_duckdb
from phqc_pipeline.checks.population import JUDGED_STATUSES
from phqc_pipeline.checks.present import SUBJECTS
from phqc_pipeline.home import DBT_PROJECT_DIR, Home
from phqc_pipeline.warehouse.asked import asked_files
from phqc_pipeline.warehouse.catalogue_macros import catalogue_macros
from phqc_pipeline.warehouse.db import columns_sql, identifier, literal
from phqc_pipeline.warehouse.dbt_runner import parse_project
from phqc_pipeline.warehouse.holidays import rest_days
from phqc_pipeline.warehouse.kept import project_files
from phqc_pipeline.warehouse.report_vars import complete_records_sql, report_lists
from phqc_pipeline.warehouse.verification import answered_lines

if TYPE_CHECKING:
    from phqc_pipeline.extracts import Delivery, HeldBack

#: Types of the lake's columns (spec: lake columns), by kind of field.
LAKE_TYPES: Mapping[str, str] = {
    "text": "VARCHAR",
    "code": "VARCHAR",
    "int": "DOUBLE",
    "dec": "DOUBLE",
    "date": "DATE",
    "ym": "DATE",
    "dt": "TIMESTAMP",
    "multi": "VARCHAR[]",
}
_OWN_COLUMNS = {
    "_row_number": "BIGINT",
    "_record_key": "VARCHAR",
    "_institution_code": "VARCHAR",
    "station_code": "VARCHAR",
}
_REPORT_COLUMNS = {
    "institution_code": "VARCHAR",
    "year": "INTEGER",
    "period": "VARCHAR",
    "item": "VARCHAR",
    "value": "DOUBLE",
    "raw": "VARCHAR",
    "row_number": "BIGINT",
    "column_name": "VARCHAR",
    "column_number": "BIGINT",
}
#: What a finding tells of its record: every judged form has these columns, empty where its dictionary has none.
_TOLD_OF_RECORDS = ("record_id", "archive_no", "doctor_name")
_KEYS = {
    "_record_key": "VARCHAR",
    "_institution_code": "VARCHAR",
    "_file_id": "VARCHAR",
    "_row_number": "BIGINT",
    "_copies": "BIGINT",
    "_service_date": "DATE",
}
_RECORD_COLUMNS = {**dict.fromkeys(_TOLD_OF_RECORDS, "VARCHAR"), "created_at": "TIMESTAMP"}
#: An identity number by which people may be told apart: right in structure and check digit (reports.md, section 2).
_VALID_ID = "id_checksum_ok(id_card_no) and id_birth_date(id_card_no) is not null"
_INSTITUTION: Mapping[str, Any] = dict.fromkeys(
    ("institution_code", "institution_name", "level", "parent_code", "region_code"), pl.String
)
_DOCTOR: Mapping[str, Any] = {
    **dict.fromkeys(("institution_code", "doctor_name"), pl.String),
    **dict.fromkeys(("from_date", "to_date"), pl.Date),
}
_GENERATED = "generated"
_KEY_COLUMNS = frozenset({"record_id", *SUBJECTS.values()})
#: A tag of models that are steps on the way to others, nothing to look at by themselves.
INTERNAL = "internal"


def stage(
    home: Home,
    cat: Catalogue,
    deliveries: Sequence[Delivery],
    ctx: Context,
    *,
    scheme: Scheme,
    institutions: pl.DataFrame | None = None,
    doctors: pl.DataFrame | None = None,
    verifications: pl.DataFrame | None = None,
    held_back: Iterable[HeldBack] = (),
    records_from: date | None = None,
) -> Any:
    """Make the home's working copy ready to run for one night, and an empty working DuckDB file; dbt's manifest of it.

    ``deliveries``: in force on ``ctx.today``, forms and reports. ``institutions``, ``doctors``: the registry's tables.
    ``verifications``: its verification.csv, answers to the sampling sheet.
    ``held_back``: deliveries newer than those in force that wait for a clerk. ``records_from``: the plan's.
    """
    clear_warehouse(home)
    inputs = home.warehouse / "inputs"
    inputs.mkdir(parents=True, exist_ok=True)
    there, project = {one.form_id for one in deliveries}, home.dbt_project
    prepare_project(home.dbt_work, cat, ctx, scheme, inputs, there, project, records_from)
    generate_models(home.dbt_work, cat, ctx, deliveries, records_from, scheme=scheme, project=project)
    _deliveries(deliveries, {(one.institution_code, one.form_id) for one in held_back}).write_parquet(
        inputs / "delivery.parquet"
    )
    for name, table, columns in (("institution", institutions, _INSTITUTION), ("doctor", doctors, _DOCTOR)):
        _registered(table, columns).write_parquet(inputs / f"{name}.parquet")
    rest_days(date(ctx.period_start.year - 1, 1, 1), ctx.period_end).write_parquet(inputs / "calendar.parquet")
    answered_lines(verifications).write_parquet(inputs / "verification.parquet")
    _code_list(cat).write_parquet(inputs / "code_list.parquet")
    return parse_project(home)


def prepare_project(
    target: Path,
    cat: Catalogue,
    ctx: Context,
    scheme: Scheme,
    inputs: Path,
    delivered: Collection[str] | None = None,
    project: Path = DBT_PROJECT_DIR,
    records_from: date | None = None,
) -> None:
    """The working copy in ``target``: ``project`` (the tracked one), vars and macros written from the catalogue. Only
    changed files are written, so that dbt parses again only what changed. ``delivered``: forms somebody delivered
    (None: all). ``records_from``: the plan's, rules on records leave out those served before it.
    """
    wanted: dict[Path, bytes] = {path.relative_to(project): path.read_bytes() for path in project_files(project)}
    rules = _rules_taken(cat, ctx, scheme)
    of_models: dict[str, list[dict[str, Any]]] = {}
    for rule in rules:
        of_models.setdefault(rule["model"], []).append(rule)
    wanted = asked_files(wanted, of_models.keys(), {rule["rule_id"] for rule in rules})
    wanted[Path("dbt_project.yml")] = _project_yaml(wanted[Path("dbt_project.yml")], project_vars(cat))
    _write_changed(target, wanted, keep=_GENERATED)
    lists = {
        "catalogue_forms": {form.form_id: _form_vars(form) for form in cat.forms.values()},
        "delivered_forms": [form_id for form_id in cat.forms if delivered is None or form_id in delivered],
        "catalogue_reports": {report.report_id: report.title for report in cat.reports.values()},
        **report_lists(cat, scheme),
        "inputs_folder": str(inputs),
        "plan_records_from": _plain(records_from),
    }
    _write_changed(target / "macros" / _GENERATED, catalogue_macros(lists, {"catalogue_rules": of_models}))


def generate_models(
    target: Path,
    cat: Catalogue,
    ctx: Context,
    deliveries: Sequence[Delivery],
    records_from: date | None = None,
    *,
    scheme: Scheme | None = None,
    every_form: bool = False,
    project: Path = DBT_PROJECT_DIR,
) -> None:
    """The models that the catalogue and the deliveries decide, into the working copy.

    Of a form that nobody has delivered yet there is only what others refer to, empty: a model costs dbt some 0.06 s,
    and most homes lack most forms. ``every_form``: all models, for a graph that no night decides.
    """
    files = {
        form_id: [f.path for one in deliveries if one.form_id == form_id for f in one.files] for form_id in cat.forms
    }
    delivered = [form for form in cat.forms.values() if every_form or files[form.form_id]]
    wanted = {Path("night.sql"): _night_sql(ctx, records_from).encode()}
    for form in cat.forms.values():
        models = form_models(form, cat, ctx, files[form.form_id] if form in delivered else None)
        wanted.update({Path(f"{name}.sql"): sql.encode() for name, sql in models.items()})
    reports = [one for one in deliveries if one.form_id in cat.reports]
    there = {form.form_id for form in delivered}
    wanted[Path("complete_record.sql")] = complete_records_sql(cat, ctx, scheme, there).encode()
    wanted[Path("judged_record.sql")] = _every_record_sql(cat, delivered, project).encode()
    wanted[Path("reported_cell.sql")] = _reported_sql(reports).encode()
    wanted[Path("_generated.yml")] = _yaml({"version": 2, "models": _staging_docs(cat, delivered)})
    _write_changed(target / "models" / "staging" / _GENERATED, wanted)
    published = {
        Path(f"records_{form.form_id}.sql"): _records_sql(form, form in delivered).encode()
        for form in cat.forms.values()
    }
    published[Path("_records.yml")] = _yaml({"version": 2, "models": [_records_doc(f) for f in cat.forms.values()]})
    _write_changed(target / "models" / "published" / "records" / _GENERATED, published)
    marts = {Path("field_profile.sql"): _profile_sql(delivered).encode()}
    _write_changed(target / "models" / "marts" / _GENERATED, marts)


def _staging_docs(cat: Catalogue, delivered: Sequence[Form]) -> list[dict[str, Any]]:
    """What an operator reads of the generated models in the asset graph."""
    there = {form.form_id for form in delivered}
    about = {
        "replaced": "同一记录编号有多行时被替换的行",
        "stg": "现行行，按交付原样",
        "judged": "参加质控的记录，不可用的格子为空",
    }
    found: list[dict[str, Any]] = [
        {
            "name": f"{kind}_{form.form_id}",
            "description": f"{form.title}：{text}",
            "config": {"tags": [] if kind == "judged" else [INTERNAL]},
        }
        for form in cat.forms.values()
        for kind, text in about.items()
        if kind == "judged" or form.form_id in there
    ]
    found.append({"name": "judged_record", "description": "参加质控的全部记录，各表共有的几列，一条记录一行"})
    found.append({"name": "complete_record", "description": "报表口径要求填写完整的表单：每条记录的必填项是否都填了"})
    found.append({"name": "night", "description": "当夜的日期与统计期，一行"})
    found.append({"name": "reported_cell", "description": "在用报表文件里的数，一格一行，带行号和列名"})
    return found


def project_vars(cat: Catalogue) -> dict[str, Any]:
    """Numbers that models are given; anything longer is a macro (``catalogue_macros``)."""
    return {
        "difference_days": cat.settings.difference_days,
        "verification_margin": cat.settings.verification_margin,
    }


def _rules_taken(cat: Catalogue, ctx: Context, scheme: Scheme) -> list[dict[str, Any]]:
    entries = [entry for rule in cross_rules(cat, ctx) for entry in _rule_vars(rule, cat)]
    return [entry for entry in entries if scheme.takes(entry["rule_id"], entry["form_id"])]


def cross_rules(cat: Catalogue, ctx: Context) -> list[Rule]:
    """The rules dbt carries and the night asks: of a rule on people or institutions, the version in force at the
    period's end (0a.16); of a rule on records, every version."""
    return [
        rule
        for rule in cat.rules
        if rule.carrier == "dbt" and (rule.grain == "row" or rule.in_force_on(ctx.period_end))
    ]


def rule_instances(rule: Rule, cat: Catalogue) -> list[str]:
    """The forms (or reports) a cross rule reports on."""
    known = {*cat.forms, *cat.reports}
    return [form_id for form_id in rule.form_ids if form_id in known]


def form_models(form: Form, cat: Catalogue, ctx: Context, files: Sequence[Path] | None) -> dict[str, str]:
    """Name → SQL of one form's models over its lake files; None: its judged records alone, empty."""
    name = form.form_id
    if files is None:
        return {f"judged_{name}": _none_judged_sql(form)}
    return {
        f"replaced_{name}": _replaced_sql(form, files),
        f"stg_{name}": _current_sql(form, files),
        f"judged_{name}": _judged_sql(form, cat, ctx),
    }


def _deliveries(deliveries: Sequence[Delivery], held: set[tuple[str, str]]) -> pl.DataFrame:
    rows = [
        {
            "institution_code": one.institution_code,
            "form_id": one.form_id,
            "snapshot_date": one.snapshot_date,
            "rows": sum(file.rows for file in one.files),
            "missing_columns": sorted(one.missing_columns),
            "held_back": (one.institution_code, one.form_id) in held,
        }
        for one in deliveries
    ]
    schema: Mapping[str, Any] = {
        "institution_code": pl.String,
        "form_id": pl.String,
        "snapshot_date": pl.Date,
        "rows": pl.Int64,
        "missing_columns": pl.List(pl.String),
        "held_back": pl.Boolean,
    }
    return pl.DataFrame(rows, schema=schema)


def _registered(table: pl.DataFrame | None, columns: Mapping[str, Any]) -> pl.DataFrame:
    """A registry table in the columns models read; without its file, not a row."""
    if table is None:
        return pl.DataFrame(schema=columns)
    return table.select(
        (pl.col(name) if name in table.columns else pl.lit(None)).cast(kind).alias(name)
        for name, kind in columns.items()
    )


def _code_list(cat: Catalogue) -> pl.DataFrame:
    """What the code lists say of their codes: one row a code and attribute, and one (attribute NULL) a code."""
    names = ("list_id", "code", "name", "valid_from", "valid_to", "attribute", "value")
    rows = [
        (codes.list_id, one.code, one.name, one.valid_from, one.valid_to, attribute, value)
        for codes in cat.codes.values()
        for one in codes.codes
        for attribute, value in ((None, None), *((name, str(value)) for name, value in one.attrs.items()))
    ]
    types = [pl.Date if name.startswith("valid_") else pl.String for name in names]
    return pl.DataFrame(rows, schema=dict(zip(names, types, strict=True)), orient="row")


def _rule_vars(rule: Rule, cat: Catalogue) -> list[dict[str, Any]]:
    shared = {
        "rule_id": rule.rule_id,
        "version": rule.version,
        "model": rule.model,
        "params": {name: _plain(value) for name, value in rule.params.items()},
        "reads": {form_id: list(columns) for form_id, columns in rule.reads.items()},
        "field": rule.field,
        "subject_kind": rule.subject_kind,
        "period_scoped": rule.period_scoped,
        "valid_from": rule.valid_from.isoformat() if rule.valid_from else None,
        "valid_to": rule.valid_to.isoformat() if rule.valid_to else None,
    }
    return [{**shared, "form_id": form_id} for form_id in rule_instances(rule, cat)]


def _form_vars(form: Form) -> dict[str, Any]:
    return {
        "title": form.title,
        "person": form.subject == "person",
        "service_date": form.service_date,
        "stage": list(form.stage),
        "columns": [column.name for column in form.fields],
        "business": [column.name for column in form.fields if column.business],
    }


def _plain(value: Any) -> Any:
    if isinstance(value, (str, int, float, bool)) or value is None:
        return value
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(name): _plain(entry) for name, entry in value.items()}
    return [_plain(entry) for entry in value]


# --- SQL of the generated models ---------------------------------------------------------------------------------


def _night_sql(ctx: Context, records_from: date | None) -> str:
    return f"""-- The night's own figures: 0a.2.
select
  {literal(ctx.today)} as today, {literal(ctx.period_start)} as period_start, {literal(ctx.period_end)} as period_end,
  {literal(ctx.period)} as period, {literal(records_from)}::date as records_from
"""


def _replaced_sql(form: Form, files: Sequence[Path]) -> str:
    """Rows that share a record number within an institution, and which of them is current (0a.9). Keys first: the
    window is laid over these few rows alone."""
    if not files:
        types = {"_file": "VARCHAR", "_row_number": "BIGINT", "copies": "BIGINT", "is_current": "BOOLEAN"}
        return f"{{{{ config(materialized='table') }}}}\nselect {_nulls(types)} where false\n"
    source = _lake_sql(form, files, ["_institution_code", "_record_key", "_row_number", *_changed(form)])
    changed = usable_duckdb(form.field("updated_at")) if form.has("updated_at") else "NULL"
    return f"""{{{{ config(materialized='table') }}}}
-- {form.title}：同一机构内记录编号相同的行，及其中的现行行（修改时间最晚者，相同或为空则行号最大者）
with delivered as ({source}),
shared as (
  select _institution_code, _record_key from delivered group by all having count(*) > 1
)
select
  d._file, d._row_number,
  count(*) over (partition by d._institution_code, d._record_key) as copies,
  row_number() over (
    partition by d._institution_code, d._record_key
    order by {changed} desc nulls last, list_position({literal([str(path) for path in files])}, d._file) desc,
      d._row_number desc
  ) = 1 as is_current
from delivered as d
semi join shared as s on s._institution_code = d._institution_code and s._record_key = d._record_key
"""


def _current_sql(form: Form, files: Sequence[Path]) -> str:
    names = [*_OWN_COLUMNS, *(part for column in form.fields for part in (column.name, f"{column.name}__raw"))]
    source = _lake_sql(form, files, names)
    return f"""-- {form.title}：每个记录编号的现行行，原样（各种记录状态）
select
  {columns_sql(names, "d")},
  parse_filename(d._file, true) as _file_id, coalesce(r.copies, 1) as _copies
from ({source}) as d
left join {{{{ ref('replaced_{form.form_id}') }}}} as r on r._file = d._file and r._row_number = d._row_number
where coalesce(r.is_current, true)
"""


def _judged_sql(form: Form, cat: Catalogue, ctx: Context) -> str:
    cells = []
    for column in form.fields:
        value = usable_duckdb(column, "s")
        # Keys go on into findings: an identity number typed into one must not (contract, section 3).
        value = mask_misplaced_id_duckdb(value) if column.name in _KEY_COLUMNS else value
        cells.append(f"{value} as {identifier(column.name)}")
        unusable = unusable_duckdb(column, "s")
        if unusable is not None:
            cells.append(f"{unusable} as {identifier(column.name + '__unusable')}")
    cells += [f"null::varchar as {name}" for name in _TOLD_OF_RECORDS if not form.has(name)]
    if form.has("id_card_no"):
        valid = to_duckdb(parse_expression(_VALID_ID, form, cat), ctx, table="s")
        cells.append(f"coalesce({valid}, false) as _id_ok")
    takes_part = ["true"]
    if form.has("record_status"):
        status = usable_duckdb(form.field("record_status"), "s")
        takes_part.append(f"coalesce({status} in ({', '.join(map(literal, JUDGED_STATUSES))}), true)")
    service = usable_duckdb(form.field(form.service_date), "s")
    service = f"cast({service} as date)" if form.field(form.service_date).kind == "dt" else service
    listed = ",\n  ".join(cells)
    # Every date of service: who is archived or registered since long ago, and what came before a visit, is asked as
    # well where the plan judges only newer records (``in_force`` leaves out the older ones, 0a.2).
    return f"""-- {form.title}：参加质控的记录；不可用的格子读作空（0a.1、0a.5、0a.9）
select
  s._row_number, {mask_misplaced_id_duckdb("s._record_key")} as _record_key, s._institution_code, s.station_code,
  s._file_id, s._copies, {service} as _service_date,
  {listed}
from {{{{ ref('stg_{form.form_id}') }}}} as s
where {" and ".join(takes_part)}
"""


def _every_record_sql(cat: Catalogue, forms: Sequence[Form], project: Path) -> str:
    """``judged_record``: form_id, keys, what a finding tells of its record, ``_stage`` (the form's stage columns as one
    text, NULL when the first of them is empty) and the columns that cross rules ask of many forms."""
    asked = _asked_of_many(cat, project)
    types = {"form_id": "VARCHAR", "_stage": "VARCHAR", **_KEYS, **_RECORD_COLUMNS, **asked}
    parts = []
    for form in forms:
        stage = f"{identifier(form.stage[0])} is not null" if form.stage else "true"
        stages = "".join(f", coalesce({identifier(name)}::varchar, '')" for name in form.stage)
        given = {
            "form_id": literal(form.form_id),
            "_stage": f"case when {stage} then concat_ws(chr(31), ''{stages}) end",
            **{name: name for name in (*_KEYS, *_TOLD_OF_RECORDS)},
        }
        own = {name: identifier(name) for name in types if name not in given and form.has(name)}
        cells = ", ".join(
            f"{(given | own).get(name, 'null')}::{kind} as {identifier(name)}" for name, kind in types.items()
        )
        parts.append(f"select {cells} from {{{{ ref('judged_{form.form_id}') }}}}")
    if not parts:
        parts.append(f"select {_nulls(types)} where false")
    listed = "\nunion all\n".join(parts)
    return f"{{{{ config(materialized='table') }}}}\n-- 参加质控的全部记录，各表共有的几列\n{listed}\n"


def _asked_of_many(cat: Catalogue, project: Path) -> dict[str, str]:
    """Columns that rules read whose models look at ``judged_record``, with their types: however few forms have them."""
    asking = {
        path.stem
        for path in (project / "models" / "cross").glob("*.sql")
        if "ref('judged_record')" in path.read_text(encoding="utf-8")
    }
    found: dict[str, str] = {}
    for rule in cat.rules:
        if rule.carrier == "dbt" and rule.model in asking:
            own = dict.fromkeys(rule.form_ids, rule.own_reads)
            for form_id, columns in (*own.items(), *rule.reads.items()):
                form = cat.forms.get(form_id)
                for name in columns:
                    if form and form.has(name):
                        found.setdefault(name, LAKE_TYPES[form.field(name).kind])
    return {name: kind for name, kind in found.items() if name not in _RECORD_COLUMNS}


def _none_judged_sql(form: Form) -> str:
    """The columns of ``_judged_sql`` without a row."""
    types = {
        **_OWN_COLUMNS,
        "_file_id": "VARCHAR",
        "_copies": "BIGINT",
        "_service_date": "DATE",
        **{column.name: LAKE_TYPES[column.kind] for column in form.fields},
        **{f"{column.name}__unusable": "BOOLEAN" for column in form.fields if unusable_duckdb(column) is not None},
        **{name: "VARCHAR" for name in _TOLD_OF_RECORDS if not form.has(name)},
        **({"_id_ok": "BOOLEAN"} if form.has("id_card_no") else {}),
    }
    return f"-- {form.title}：没有机构交付过\nselect {_nulls(types)} where false\n"


def _nulls(types: Mapping[str, str]) -> str:
    return ", ".join(f"null::{kind} as {identifier(name)}" for name, kind in types.items())


def _lake_sql(form: Form, files: Sequence[Path], names: Sequence[str]) -> str:
    """The form's lake files with these columns and ``_file``; a column no file has reads as empty."""
    types = {**_OWN_COLUMNS}
    for column in form.fields:
        types[column.name] = LAKE_TYPES[column.kind]
        types[f"{column.name}__raw"] = "VARCHAR"
    if not files:
        return f"select {_nulls({name: types[name] for name in names})}, null::varchar as _file where false"
    paths = literal([str(path) for path in files])
    with duckdb.connect() as connection:
        schemas = connection.execute(
            f"SELECT file_name, list(name) FROM parquet_schema({paths}) GROUP BY file_name"
        ).fetchall()
    found = {name for _, listed in schemas for name in listed}
    alike = len({frozenset(listed) for _, listed in schemas}) == 1
    cells = ", ".join(
        identifier(name) if name in found else f"null::{types[name]} as {identifier(name)}" for name in names
    )
    return (
        f"select {cells}, filename as _file from read_parquet({paths}, filename = true"
        f"{'' if alike else ', union_by_name = true'})"
    )


def _changed(form: Form) -> list[str]:
    return ["updated_at", "updated_at__raw"] if form.has("updated_at") else []


def _reported_sql(reports: Sequence[Delivery]) -> str:
    """Every cell of the reports in force, long."""
    parts = []
    for one in reports:
        for file in one.files:
            parts.append(
                f"select {literal(one.form_id)} as report_id, {literal(one.institution_code)} as delivered_by, "
                f"{literal(one.snapshot_date)} as snapshot_date, {literal(file.path.stem)} as file_id, "
                f"{_casts(_REPORT_COLUMNS)} from read_parquet({literal(str(file.path))})"
            )
    if not parts:
        empty = {
            "report_id": "varchar",
            "delivered_by": "varchar",
            "snapshot_date": "date",
            "file_id": "varchar",
            **_REPORT_COLUMNS,
        }
        parts.append("select " + ", ".join(f"null::{kind} as {name}" for name, kind in empty.items()) + " where false")
    return "-- 现行各报表的每一格\n" + "\nunion all by name\n".join(parts) + "\n"


def _casts(columns: Mapping[str, str]) -> str:
    return ", ".join(f"cast({identifier(name)} as {kind}) as {identifier(name)}" for name, kind in columns.items())


def _records_sql(form: Form, delivered: bool) -> str:
    names = [column.name for column in form.fields]
    own = ["station_code", "_institution_code", "_record_key", "_file_id", "_row_number"]
    if not delivered:
        types = {column.name: LAKE_TYPES[column.kind] for column in form.fields}
        types |= {name: _OWN_COLUMNS.get(name, "VARCHAR") for name in own}
        return f"{{{{ config(alias='{form.form_id}') }}}}\nselect {_nulls(types)} where false\n"
    return f"""{{{{ config(alias='{form.form_id}') }}}}
select {columns_sql(names)}, {columns_sql(own)} from {{{{ ref('stg_{form.form_id}') }}}}
"""


def _records_doc(form: Form) -> dict[str, Any]:
    own = {
        "station_code": "行内机构编码：投递机构本身或其下级站点",
        "_institution_code": "投递机构编码",
        "_record_key": "记录标识：记录编号；没有编号的行用档案号、服务日期、医生与内容的哈希",
        "_file_id": "来源文件，见 ingest.file",
        "_row_number": "来源文件中的行号，与电子表格所示一致",
    }
    columns = [{"name": column.name, "description": _column_comment(column)} for column in form.fields]
    columns += [{"name": name, "description": text} for name, text in own.items()]
    return {
        "name": f"records_{form.form_id}",
        "config": {"tags": [INTERNAL]},
        "description": f"{form.title}：各机构现行快照，每个记录编号一行，各种记录状态都在内；含居民个人信息，不得外传",
        "columns": columns,
    }


def _column_comment(column: Field) -> str:
    text = column.title
    if column.unit:
        text += f"（{column.unit}）"
    if column.codes:
        text += f"，代码表 {column.codes}"
    return text


def _profile_sql(forms: Sequence[Form]) -> str:
    """mart.field_profile: one row an institution, form and field. Values stand only where they tell nothing of
    a person; distinct counts are approximate (HyperLogLog), since exact ones of 250 columns at once need gigabytes."""
    parts = [_profile_of(form) for form in forms] or [
        "select null::varchar as institution_code, null::varchar as form_id, null::varchar as field, "
        "null::varchar as field_title, null::varchar as field_type, null::bigint as records, null::bigint as filled, "
        "null::bigint as empty, null::bigint as unusable, null::bigint as distinct_values, "
        "null::varchar as min_value, null::varchar as max_value where false"
    ]
    rate = "round(100.0 * filled / nullif(records, 0), 2)"
    union = "\nunion all by name\n".join(parts)
    return f"select *, {rate} as filled_rate from (\n{union}\n)\n"


def _profile_of(form: Form) -> str:
    """One form's part: a pass over the records for each kind of figure. All in one pass would be the obvious way, and
    takes more than twice as long: a thousand aggregates a group no longer fit a processor's cache."""
    rows = []
    passes: dict[str, list[str]] = {"filled": ["count(*) as records"], "unusable": [], "spread": [], "bounds": []}
    for number, column in enumerate(form.fields):
        name, flag = identifier(column.name), identifier(f"{column.name}__unusable")
        told = column.kind in ("int", "dec", "date", "ym", "dt", "code") and not column.personal
        can_be_unusable = unusable_duckdb(column) is not None
        passes["filled"].append(f"count({name}) as f{number}")
        passes["spread"].append(f"approx_count_distinct({name}) as d{number}")
        if can_be_unusable:
            passes["unusable"].append(f"count_if({flag}) as u{number}")
        if told:
            passes["bounds"] += [f"min({name}) as n{number}", f"max({name}) as x{number}"]
        bounds = [f"regexp_replace({bound}{number}::varchar, '\\.0$', '')" if told else "null" for bound in "nx"]
        rows.append(
            f"{{'field': {literal(column.name)}, 'field_title': {literal(column.title)}, "
            f"'field_type': {literal(column.type)}, 'filled': f{number}, "
            f"'unusable': {f'u{number}' if can_be_unusable else '0'}, 'distinct_values': d{number}, "
            f"'min_value': {bounds[0]}::varchar, 'max_value': {bounds[1]}::varchar}}"
        )
    source = f"{{{{ ref('judged_{form.form_id}') }}}}"
    named = {name: aggregates for name, aggregates in passes.items() if aggregates}
    figures = ",\n    ".join(
        f"{name} as materialized (select _institution_code as institution_code, {', '.join(aggregates)} "
        f"from {source} group by all)"
        for name, aggregates in named.items()
    )
    joined = " ".join(f"join {name} using (institution_code)" for name in list(named)[1:])
    return f"""select
  institution_code, {literal(form.form_id)} as form_id, c.field, c.field_title, c.field_type, records,
  c.filled::bigint as filled, (records - c.filled - c.unusable)::bigint as empty, c.unusable::bigint as unusable,
  c.distinct_values::bigint as distinct_values, c.min_value, c.max_value
from (
  with {figures}
  select institution_code, records, unnest([{", ".join(rows)}]) as c from filled {joined}
)"""


# --- files ---------------------------------------------------------------------------------------------------------


def _project_yaml(tracked: bytes, variables: dict[str, Any]) -> bytes:
    project = yaml.load(tracked.decode("utf-8"), yaml.CSafeLoader)
    project["vars"] = variables
    return _yaml(project)


def _yaml(data: Any) -> bytes:
    """YAML by libyaml: the project's vars alone are thousands of nodes."""
    text: str = yaml.dump(
        data, Dumper=yaml.CSafeDumper, allow_unicode=True, width=4096, default_flow_style=False, sort_keys=False
    )
    return text.encode("utf-8")


def _write_changed(folder: Path, wanted: Mapping[Path, bytes], keep: str = "") -> None:
    """Make ``folder`` hold exactly these files; folders named ``keep``, dbt's own and unchanged files are left."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.rglob("*"):
        inside = path.relative_to(folder)
        if path.is_file() and inside not in wanted and not {keep, "target", "logs"} & set(inside.parts):
            path.unlink()
    for name, content in wanted.items():
        path = folder / name
        if path.is_file() and path.read_bytes() == content:
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def clear_warehouse(home: Home) -> None:
    """Remove the working DuckDB file: every night builds it anew, so nothing a kill left in it matters."""
    for path in (home.warehouse_db, home.warehouse_db.with_name(home.warehouse_db.name + ".wal")):
        path.unlink(missing_ok=True)
    shutil.rmtree(home.warehouse / "tmp", ignore_errors=True)
