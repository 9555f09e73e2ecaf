"""What the dbt project knows of reports: how each item is counted, the indicators, the services people are due.

Belongs here: the catalogue's entries as lists for macros, and the generated model that says which records are complete.
Does not belong here: the counting (``dbt_project/models/recount``), other lists (``staging``).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date
from typing import Any

from phqc_pipeline.catalogue import Catalogue, Context, Form, Scheme
from phqc_pipeline.catalogue.expressions import parse_expression, to_duckdb
from phqc_pipeline.catalogue.model import ReportItem
from phqc_pipeline.warehouse.db import literal

#: A record with every field filled in that must be (full_exam, forms.md section 4).
_COMPLETE = "required_missing_count() = 0"
_COMPLETE_COLUMNS = "null::varchar as form_id, null::varchar as _institution_code, null::varchar as _record_key"


def report_lists(cat: Catalogue, scheme: Scheme | None) -> dict[str, Any]:
    """Macro → what it returns: ``catalogue_items`` (every item; ``model``, ``reads``, ``params`` where it is counted),
    ``catalogue_indicators``, ``catalogue_services``, ``catalogue_code_attrs`` (list → attribute → code → value, of
    lists that items name)."""
    items = _items(cat, scheme)
    return {
        "catalogue_items": items,
        "catalogue_code_attrs": _code_attrs(cat, items),
        "catalogue_indicators": _indicators(cat),
        "catalogue_services": [_plain(vars(one)) for one in cat.services.values()],
    }


def _items(cat: Catalogue, scheme: Scheme | None) -> list[dict[str, Any]]:
    return [
        _item(report_id, item, scheme.report_params.get(item.item, {}) if scheme else {})
        for report_id, report in cat.reports.items()
        for item in report.items
    ]


def complete_records_sql(cat: Catalogue, ctx: Context, scheme: Scheme | None, delivered: Collection[str]) -> str:
    """``complete_record``: form_id, keys and ``complete`` of every current record of a form whose complete records some
    report item counts (parameter ``complete``)."""
    items = _items(cat, scheme)
    wanted = {form_id: None for item in items for form_id in item["params"].get("complete", ()) if form_id in cat.forms}
    parts = [_complete_sql(cat.forms[form_id], cat, ctx) for form_id in wanted if form_id in delivered]
    if not parts:
        parts = [f"select {_COMPLETE_COLUMNS}, null::boolean as complete where false"]
    joined = "\nunion all\n".join(parts)
    return f"{{{{ config(materialized='table') }}}}\n-- 必填项是否都填了：报表口径要求“填写完整”的表单\n{joined}\n"


def _complete_sql(form: Form, cat: Catalogue, ctx: Context) -> str:
    complete = to_duckdb(parse_expression(_COMPLETE, form, cat), ctx, table="s")
    return (
        f"select {literal(form.form_id)} as form_id, s._institution_code, s._record_key, "
        f"coalesce({complete}, false) as complete from {{{{ ref('stg_{form.form_id}') }}}} as s"
    )


def _item(report_id: str, item: ReportItem, local: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "report_id": report_id,
        "item": item.item,
        "title": item.title,
        "unit": item.unit,
        "nature": item.nature,
        "recomputed": bool(item.recomputed and item.model),
        "model": item.model if item.recomputed else "",
        "reads": {form_id: list(names) for form_id, names in item.reads.items()},
        "reads_any": item.reads_any,
        "params": _plain({**item.params, **local}),
    }


def _code_attrs(cat: Catalogue, items: list[dict[str, Any]]) -> dict[str, Any]:
    found: dict[str, dict[str, Any]] = {}
    for item in items:
        list_id, asked = item["params"].get("hours_list"), item["params"].get("hours_attr")
        for attr in (asked, *item["params"].get("urgent_attrs", ())) if list_id in cat.codes else ():
            found.setdefault(list_id, {})[attr] = {
                one.code: _plain(one.attrs[attr]) for one in cat.codes[list_id].codes if attr in one.attrs
            }
    return found


def _indicators(cat: Catalogue) -> list[dict[str, Any]]:
    """Every indicator, those of ``each`` spread out: ``I-08.hepb_1`` for ``vac_done_hepb_1`` ÷ ``vac_due_hepb_1``."""
    titles = {item.item: item.title for report in cat.reports.values() for item in report.items}
    found = []
    for one in cat.indicators.values():
        told = _plain(vars(one))
        told.pop("place")
        told["targets"] = [vars(target) for target in one.targets]
        found.append(told)
        if one.each:
            first, second = one.each
            for item in titles:
                rest = item[len(first) :]
                if item.startswith(first) and f"{second}{rest}" in titles:
                    part = {"indicator_id": f"{one.indicator_id}.{rest}", "title": f"{one.title}·{titles[item]}"}
                    found.append(
                        {**told, **part, "numerator": [item], "denominator": [f"{second}{rest}"], "targets": []}
                    )
    return found


def _plain(value: Any) -> Any:
    """As YAML holds it: places left out."""
    if isinstance(value, (str, int, float, bool)) or value is None:
        return value
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(name): _plain(entry) for name, entry in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(entry) for entry in value]
    return str(value)
