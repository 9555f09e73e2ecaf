"""From the catalogue in force and the deliveries of a night to a dbt project that can be run.

Belongs here: the working copy of ``dbt_project/`` below HOME/warehouse, which models are generated (the catalogue
decides which forms there are and what their columns mean), vars and files handed in. Does not belong here: what a
generated model says (``form_models``), running dbt (``dbt_runner``), the questions asked (``dbt_project/models``).
"""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import yaml

from phqc_pipeline.catalogue import Catalogue, Context, Field, Form, Rule, Scheme
from phqc_pipeline.home import DBT_PROJECT_DIR, Home
from phqc_pipeline.warehouse.asked import asked_files
from phqc_pipeline.warehouse.catalogue_macros import catalogue_macros
from phqc_pipeline.warehouse.dbt_runner import parse_project
from phqc_pipeline.warehouse.form_models import (
    every_record_sql,
    form_models,
    night_sql,
    profile_sql,
    records_sql,
    reported_sql,
)
from phqc_pipeline.warehouse.holidays import rest_days
from phqc_pipeline.warehouse.kept import project_files
from phqc_pipeline.warehouse.report_vars import complete_records_sql, report_lists
from phqc_pipeline.warehouse.verification import answered_lines

if TYPE_CHECKING:
    from phqc_pipeline.extracts import Delivery, HeldBack

_INSTITUTION: Mapping[str, Any] = dict.fromkeys(
    ("institution_code", "institution_name", "level", "parent_code", "region_code"), pl.String
)
_DOCTOR: Mapping[str, Any] = {
    **dict.fromkeys(("institution_code", "doctor_name"), pl.String),
    **dict.fromkeys(("from_date", "to_date"), pl.Date),
}
_GENERATED = "generated"
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
    wanted = {Path("night.sql"): night_sql(ctx, records_from).encode()}
    for form in cat.forms.values():
        models = form_models(form, cat, ctx, files[form.form_id] if form in delivered else None)
        wanted.update({Path(f"{name}.sql"): sql.encode() for name, sql in models.items()})
    reports = [one for one in deliveries if one.form_id in cat.reports]
    there = {form.form_id for form in delivered}
    wanted[Path("complete_record.sql")] = complete_records_sql(cat, ctx, scheme, there).encode()
    wanted[Path("judged_record.sql")] = every_record_sql(cat, delivered, project).encode()
    wanted[Path("reported_cell.sql")] = reported_sql(reports).encode()
    wanted[Path("_generated.yml")] = _yaml({"version": 2, "models": _staging_docs(cat, delivered)})
    _write_changed(target / "models" / "staging" / _GENERATED, wanted)
    published = {
        Path(f"records_{form.form_id}.sql"): records_sql(form, form in delivered).encode()
        for form in cat.forms.values()
    }
    published[Path("_records.yml")] = _yaml({"version": 2, "models": [_records_doc(f) for f in cat.forms.values()]})
    _write_changed(target / "models" / "published" / "records" / _GENERATED, published)
    marts = {Path("field_profile.sql"): profile_sql(delivered).encode()}
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
