"""The SQL of the models that the catalogue and the deliveries decide: each form's, and those made of all forms.

Belongs here: what a generated model says. Does not belong here: which are made, and where they are laid (``staging``).

Generated for every form: ``replaced_<form>`` (rows that share a record number), ``stg_<form>`` (current rows, as
delivered), ``judged_<form>`` (rows that take part, unusable cells NULL) and ``records_<form>`` (published). They are
views over the lake's Parquet files, so a model reads only the columns it names. ``judged_record`` is a narrow table of
what all forms have alike: a question asked of every form reads it once, not thirty views of a hundred columns each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from phqc_pipeline.catalogue import Catalogue, Context, Form
from phqc_pipeline.catalogue.expressions import parse_expression, to_duckdb, unusable_duckdb, usable_duckdb
from phqc_pipeline.checks.masking import mask_misplaced_id_duckdb
from phqc_pipeline.checks.population import JUDGED_STATUSES
from phqc_pipeline.checks.present import SUBJECTS
from phqc_pipeline.warehouse.db import columns_sql, identifier, literal
from phqc_pipeline.warehouse.shapes import REPORTED_FIGURE

if TYPE_CHECKING:
    from phqc_pipeline.extracts import Delivery

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
    **REPORTED_FIGURE,
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
_KEY_COLUMNS = frozenset({"record_id", *SUBJECTS.values()})


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


def night_sql(ctx: Context, records_from: date | None) -> str:
    """``night``: one row, the dates the night is judged by. ``records_from``: the plan's."""
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


def every_record_sql(cat: Catalogue, forms: Sequence[Form], project: Path) -> str:
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


def reported_sql(reports: Sequence[Delivery]) -> str:
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


def records_sql(form: Form, delivered: bool) -> str:
    """``records_<form>``: the published current rows; of a form nobody delivered none, with its columns."""
    names = [column.name for column in form.fields]
    own = ["station_code", "_institution_code", "_record_key", "_file_id", "_row_number"]
    if not delivered:
        types = {column.name: LAKE_TYPES[column.kind] for column in form.fields}
        types |= {name: _OWN_COLUMNS.get(name, "VARCHAR") for name in own}
        return f"{{{{ config(alias='{form.form_id}') }}}}\nselect {_nulls(types)} where false\n"
    return f"""{{{{ config(alias='{form.form_id}') }}}}
select {columns_sql(names)}, {columns_sql(own)} from {{{{ ref('stg_{form.form_id}') }}}}
"""


def profile_sql(forms: Sequence[Form]) -> str:
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
