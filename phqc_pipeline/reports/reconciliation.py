"""The section of indicators and reported figures: what differs, by whose archives and why, and who meets which target.

Belongs here: this one section of the page. Does not belong here: recomputing (``dbt_project/models/reports``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import polars as pl

from phqc_pipeline.reports.facts import InstitutionFacts
from phqc_pipeline.reports.layout import Row, Section, Shape, Table, classed, decimal, period_text, rows

_DIFFERENCES_SHOWN, _CAUSES_SHOWN, _ARCHIVES_LISTED = 40, 60, 60
_INDICATORS_A_TABLE = 6  # beside the institution's name on an upright A4 page


def reconciliation(facts: InstitutionFacts) -> Section | None:
    """None without any reported figure or indicator."""
    compared = facts.reconciliation
    if compared.is_empty() and facts.indicators.is_empty():
        return None
    differing, unreported = facts.differing, compared.height - facts.compared
    notes = [
        f"能由档案重算的上报数 {facts.compared:,} 个，其中一致 {facts.compared - differing.height:,} 个，"
        f"不一致 {differing.height:,} 个。"
    ]
    if unreported:
        notes.append(f"另有 {unreported:,} 个能重算而没有上报的，没有核对。")
    if facts.not_recomputed:
        notes.append(f"另有 {facts.not_recomputed:,} 个上报数不能由现有记录重算，没有核对。")
    tables = [_differing(facts, differing)]
    causes = facts.further.get("difference_causes")
    if causes is not None and causes.height:
        tables.append(_causes(facts, causes))
    if facts.is_all:
        tables += _indicators_of_all(facts)
    elif not facts.indicators.is_empty():
        tables.append(_indicators(facts))
    return Section("reports", "指标与报表核对", notes, tables=tables)


def _differing(facts: InstitutionFacts, differing: pl.DataFrame) -> Table:
    shape = _figure(facts).whole("reported", "上报").whole("recomputed", "按档案重算").signed("difference", "差异")
    return Table(
        rows(differing.head(_DIFFERENCES_SHOWN)),
        shape.columns,
        title="不一致的上报数",
        none="没有不一致的上报数。",
        kind="stack",
        note=f"只列差异最大的 {_DIFFERENCES_SHOWN} 个。" if differing.height > _DIFFERENCES_SHOWN else "",
    )


def _causes(facts: InstitutionFacts, causes: pl.DataFrame) -> Table:
    """Why a figure differs; an institution is told which archives it is about."""
    shape = _figure(facts).text("direction", "方向", "short").text("cause", "原因", "cause").whole("entries", "条数")
    if not facts.is_all:
        shape.text("details", "说明", "said")
        shape.cell("涉及的档案或记录", lambda row: classed(_listed(row["listed"]), "example"))
    notes = [f"只列条数最多的 {_CAUSES_SHOWN} 行。"] if causes.height > _CAUSES_SHOWN else []
    if not facts.is_all:
        notes.append("记录编号前有“记录”二字，其余是健康档案编号；全部名单在数据仓库的 report.difference。")
    return Table(
        rows(causes.head(_CAUSES_SHOWN)),
        shape.columns,
        title="差异出在哪里",
        kind="stack",
        note="".join(notes),
    )


def _figure(facts: InstitutionFacts) -> Shape:
    """The columns that tell a reported figure."""
    shape, names = Shape(), _names(facts)
    if facts.is_all:
        shape.cell("机构", lambda row: names.get(row["institution_code"], row["institution_code"]))
    shape.text("item_title", "报表项", "lead").cell(
        "期间", lambda row: period_text(row["year"], row["period"]), "short"
    )
    return shape


def _listed(named: Sequence[str]) -> str:
    return "、".join(named[:_ARCHIVES_LISTED]) + (" 等" if len(named) > _ARCHIVES_LISTED else "")


def _names(facts: InstitutionFacts) -> dict[str, str]:
    return dict(facts.peers.select("institution_code", "institution_name").iter_rows())


def _indicators(facts: InstitutionFacts) -> Table:
    shape = (
        Shape()
        .text("indicator_title", "指标", "lead")
        .cell("期间", lambda row: period_text(row["year"], row["period"]), "short")
    )
    shape.whole("numerator", "分子").whole("denominator", "分母").decimal("value", "按档案计算", 2)
    shape.decimal("reported", "上报", 2).decimal("target", "目标", 2)
    shape.cell("达到", lambda row: {True: classed("是", "good"), False: classed("否", "bad")}.get(row["meets"], "—"))
    return Table(rows(facts.indicators), shape.columns, title="指标", kind="stack")


def _indicators_of_all(facts: InstitutionFacts) -> Iterator[Table]:
    """Every institution beside every indicator that any of them has a value of, in the newest period; some to a table.

    What misses its target stands out; a target that is the same for all stands in the header."""
    values = facts.further.get("indicators_of_all", pl.DataFrame())
    if values.is_empty():
        return
    told = {(row["institution_code"], row["indicator_id"]): row for row in values.iter_rows(named=True)}
    heads = values.group_by("indicator_id", maintain_order=True).agg(
        pl.col("indicator_title").first(), pl.col("target").drop_nulls().unique().alias("targets")
    )
    institutions = values.select("institution_code").unique(maintain_order=True).to_dicts()
    names, period = _names(facts), period_text(values["year"][0], values["period"][0])
    parts = list(heads.iter_slices(_INDICATORS_A_TABLE))
    for number, part in enumerate(parts, start=1):
        shape = Shape().cell("机构", lambda row: names.get(row["institution_code"], row["institution_code"]), "lead")
        for head in part.iter_rows(named=True):
            aim = f"（目标 {float(head['targets'][0]):g}）" if len(head["targets"]) == 1 else ""
            shape.cell(f"{head['indicator_title']}{aim}", _value_of(told, head["indicator_id"]), "n wrap")
        count = f"（{number}／{len(parts)}）" if len(parts) > 1 else ""
        note = "按档案计算；红字是没有达到目标的，— 是没有分母或没有收到报表。" if number == len(parts) else ""
        yield Table(institutions, shape.columns, title=f"各机构的指标，{period}{count}", kind="figures", note=note)


def _value_of(told: Mapping[tuple[str, str], Row], indicator_id: str) -> Callable[[Row], Any]:
    def cell(row: Row) -> Any:
        found = told.get((row["institution_code"], indicator_id))
        if found is None or found["value"] is None:
            return "—"
        return classed(decimal(found["value"], 2), {True: "good", False: "bad"}.get(found["meets"], ""))

    return cell
