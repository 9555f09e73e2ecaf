"""Reports sent wrong: one fault a rule of reports, in a row other than the one that is charged.

Belongs here: how each rule's fault is put into the reports' rows. Does not belong here: what is then violated
(``faults.cross.reports``), the figures as they should be (``report_figures``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import polars as pl

from phqc_pipeline.sample.calendar import Times

Reports = dict[str, pl.DataFrame]
CHARGED = "r_archive"  # the report the orders are based on
_FIRST, _LAST = 0, -1
Fault = Callable[[Reports, Times], bool]


def misreport(reports: Reports, times: Times, rule_id: str) -> bool:
    """Put the fault of a rule into ``reports``; whether there was a row for it."""
    return MISREPORTS[rule_id](reports, times)


def _places(rows: pl.DataFrame, report_id: str, times: Times) -> list[int]:
    """Rows that may be wrong: not what is charged."""
    return [n for n in range(rows.height) if report_id != CHARGED or rows["year"][n] != times.basis_year]


def _set(reports: Reports, times: Times, report_id: str, which: int, values: Mapping[str, pl.Expr]) -> bool:
    rows = reports.get(report_id)
    places = [] if rows is None else _places(rows, report_id, times)
    if rows is None or not places or not -len(places) <= which < len(places):
        return False
    here = pl.int_range(pl.len()) == places[which]
    told = [
        pl.when(here).then(value).otherwise(pl.col(name)).cast(rows.schema[name]).alias(name)
        for name, value in values.items()
    ]
    reports[report_id] = rows.with_columns(told)
    return True


def _more(report_id: str, *items: str, by: int = 3) -> Fault:
    """Too many reported, in the last row."""
    return lambda reports, times: _set(
        reports, times, report_id, _LAST, {item: pl.col(item).fill_null(0) + by for item in items}
    )


def _above(report_id: str, part: str, whole: str, by: int = 2, which: int = _FIRST) -> Fault:
    """A part larger than its whole."""
    return lambda reports, times: _set(reports, times, report_id, which, {part: pl.col(whole).fill_null(0) + by})


def _fewer_archives(reports: Reports, times: Times) -> bool:
    return _set(reports, times, CHARGED, _FIRST, {"ehr_archive": pl.col("ehr_electronic") - 12})


def _few_residents(reports: Reports, times: Times) -> bool:
    return _set(reports, times, CHARGED, 1, {"ehr_pop": pl.col("ehr_archive") - 50})


def _many_elders(reports: Reports, times: Times) -> bool:
    """Half of the residents are old, in a period both reports speak of."""
    archive, elders = reports.get(CHARGED), reports.get("r_elderly")
    if archive is None or elders is None:
        return False
    key = ["year", "period"]
    both = elders.select(*key).with_row_index("place").join(archive.select(*key, "ehr_pop"), on=key)
    if both.is_empty():
        return False
    place, _, _, people = both.row(0)
    return _set(reports, times, "r_elderly", place, {"eld_pop": pl.lit(people * 0.5).ceil()})


def _falling(reports: Reports, times: Times) -> bool:
    """A quarter's figure below that of the quarter before."""
    rows = reports.get("r_health_education")
    for place in range(1, 0 if rows is None else rows.height):
        assert rows is not None
        before = rows["he_print_count"][place - 1]
        if rows["year"][place] == rows["year"][place - 1] and before:
            lower = {"he_print_count": pl.lit(before - 1)}
            return _set(reports, times, "r_health_education", place, lower)
    return False


def _doubled(report_id: str, item: str) -> Fault:
    """Twice last year's figure, in the last row that has one of the year before."""

    def fault(reports: Reports, times: Times) -> bool:
        rows = reports.get(report_id)
        if rows is None:
            return False
        known = {(year, period): value for year, period, value in rows.select("year", "period", item).iter_rows()}
        for place in range(rows.height - 1, -1, -1):
            before = known.get((rows["year"][place] - 1, rows["period"][place]))
            if before is not None:
                return _set(reports, times, report_id, place, {item: pl.lit(2 * max(before, 30))})
        return False

    return fault


def _sudden(reports: Reports, times: Times) -> bool:
    """Everything in the third quarter."""
    rows = reports.get("r_supervision")
    for place in range(0 if rows is None else rows.height):
        assert rows is not None
        if rows["period"][place] == "Q3":
            return _set(reports, times, "r_supervision", place, {"sup_patrol_school": pl.lit(400)})
    return False


def _copied(reports: Reports, times: Times) -> bool:
    """A quarter's report that is the one before it."""
    rows = reports.get("r_maternal")
    if rows is None:
        return False
    for place in range(1, rows.height):
        same_year = rows["year"][place] == rows["year"][place - 1]
        if same_year and rows["period"][place - 1 : place + 1].to_list() == ["Q2", "Q3"]:
            items = [name for name, kind in rows.schema.items() if kind.is_numeric() and name != "year"]
            values = {name: pl.lit(max(rows[name][place - 1] or 0, 1)) for name in items}
            return _set(reports, times, "r_maternal", place - 1, values) and _set(
                reports, times, "r_maternal", place, values
            )
    return False


def _on_target(reports: Reports, times: Times) -> bool:
    """Two rates that are exactly the year's targets: 85 % and 77 % (or 79 %)."""
    child, tcm = reports.get("r_child"), reports.get("r_tcm")
    if child is None or tcm is None or child.is_empty() or tcm.is_empty():
        return False
    archive = reports.get(CHARGED)
    key = ["year", "period"]
    if archive is None:
        return False
    spoken = archive.select(*key).join(child.select(*key).with_row_index("place"), on=key)
    for year, _, place in spoken.iter_rows():
        goal = {2023: 77, 2024: 79}.get(year)
        if goal is not None:
            return _set(
                reports, times, "r_child", place, {"child_0_6": pl.lit(200), "child_0_6_managed": pl.lit(170)}
            ) and (_set(reports, times, "r_tcm", place, {"tcm_child_due": pl.lit(100), "tcm_child": pl.lit(goal)}))
    return False


def _badly_covered(reports: Reports, times: Times) -> bool:
    """A rate of vaccination far below that of the register."""
    covered = (pl.col("vac_due") * 0.85).floor()
    return _set(reports, times, "r_vaccination", _FIRST, {"vac_done": covered})


#: rule → its fault, in the order in which they are put in: what is set outright first, what is added to it last.
MISREPORTS: Mapping[str, Fault] = {
    "RPT-R-055": _on_target,
    "RPT-R-054": _copied,
    "RPT-R-052": _sudden,
    "RPT-R-051": _doubled("r_health_education", "he_print_count"),
    "RPT-R-050": _falling,
    "RPT-R-045": _many_elders,
    "RPT-R-044": lambda reports, times: _set(
        reports, times, "r_maternal", _FIRST, {"mch_live_births": pl.col("mch_live_births") + 1}
    ),
    "RPT-R-042": _above("r_vaccination", "vac_done_hepb_1", "vac_due_hepb_1"),
    "VAC-R-001": _badly_covered,
    "RPT-R-041": _above("r_infectious", "inf_timely", "inf_reported"),
    "RPT-R-040": _above("r_tb", "tb_regular", "tb_completed"),
    "RPT-R-039": _above("r_child", "child_nb_visit", "child_live_births"),
    "RPT-R-038": _above("r_maternal", "mch_early_book", "mch_live_births"),
    "RPT-R-037": _above("r_elderly", "eld_managed", "eld_pop"),
    "RPT-R-036": _above("r_smi", "smi_managed", "smi_registered"),
    "RPT-R-035": _above("r_diabetes", "dm_controlled", "dm_managed"),
    "RPT-R-034": _above("r_hypertension", "htn_standard", "htn_managed"),
    "RPT-R-033": _few_residents,
    "RPT-R-032": _above(CHARGED, "ehr_dynamic", "ehr_total", which=1),
    "RPT-R-031": _above(CHARGED, "ehr_standard", "ehr_electronic", which=1),
    "RPT-R-030": _fewer_archives,
    "RPT-R-002": _more(CHARGED, "ehr_archive", "ehr_electronic", by=23),
    "RPT-R-001": _more(CHARGED, "ehr_archive", by=2),
    "RPT-R-003": _more(CHARGED, "ehr_standard", by=-5),
    "RPT-R-004": _more(CHARGED, "ehr_dynamic"),
    "RPT-R-005": _more("r_elderly", "eld_managed"),
    "RPT-R-006": _more("r_tcm", "eld_tcm"),
    "RPT-R-007": _more("r_hypertension", "htn_managed"),
    "RPT-R-008": _more("r_hypertension", "htn_standard", by=2),
    "RPT-R-009": _more("r_hypertension", "htn_controlled", by=1),
    "RPT-R-010": _more("r_diabetes", "dm_managed"),
    "RPT-R-011": _more("r_diabetes", "dm_standard", by=2),
    "RPT-R-012": _more("r_diabetes", "dm_controlled", by=1),
    "RPT-R-013": _more("r_smi", "smi_standard", by=1),
    "RPT-R-014": _more("r_tb", "tb_managed", by=1),
    "RPT-R-015": _more("r_maternal", "mch_early_book", by=1),
    "RPT-R-016": _more("r_maternal", "mch_postpartum", by=1),
    "RPT-R-017": _more("r_child", "child_nb_visit", by=1),
    "RPT-R-018": _more("r_child", "child_0_6_managed"),
    "RPT-R-019": _more("r_tcm", "tcm_child"),
    "RPT-R-020": _more("r_health_education", "he_lecture_times", by=2),
    "RPT-R-021": _more("r_infectious", "inf_reported", by=1),
    "RPT-R-022": _more("r_supervision", "sup_reported", by=1),
    "RPT-R-023": _more("r_vaccination", "vac_cert", by=2),
    "RPT-R-024": _more("r_copd", "copd_managed", by=1),
}
