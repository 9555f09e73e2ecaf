"""What each report says: a figure for every item, counted from an institution's judged records (reports.md, 2 and 4).

Belongs here: one function a report, from a period's counts to its figures; parts and wholes. Does not belong here:
periods and rows (``report``), how records are picked (``report_counts``).

Figures that no record tells (population, estimates, funds) are put a little above what the records hold, as a
statistical office would have them, so that no part exceeds its whole. What nobody knows is None: not reported.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta

import polars as pl

from phqc_pipeline.sample.faults.truth import valid_numbers
from phqc_pipeline.sample.report_counts import ALL, Counts, archives_at, given, people_in, whole_years
from phqc_pipeline.sample.report_management import patients

Figures = dict[str, float | None]

_PREVALENCE_HTN, _PREVALENCE_DM = 0.30, 0.11  # of residents of 35 and more, what the estimates hang on
_FUND_2023, _FUND_STEP = 89.0, 5.0  # yuan a head in 2023, and how much more each year
_CHILD_FORMS = ("newborn_visit", "child_exam_1_8m", "child_exam_12_30m", "child_exam_3_6y")
_EYES = ("eye_code", "vision_left", "vision_right")
_DISEASES = {"r_hypertension": "HTN", "r_diabetes": "T2DM", "r_copd": "COPD", "r_smi": "SMI"}
_TCM_MONTHS = (6, 12, 18, 24, 30, 36)
_BOUGHT = ("JEI", "HEPAI")  # vaccines that stand for another one of the programme: due only where given


def _archive(c: Counts) -> Figures:
    """城乡居民健康档案管理."""
    there, end = c.archives(), c.period.end
    changed = pl.col("archive_status_date") <= end
    kept = there.filter(~((pl.col("archive_status") == "9") & changed).fill_null(False))
    ended = pl.col("archive_status").is_in(["2", "3", "4"]) & c.within("archive_status_date")
    people = archives_at(there, end)
    dynamic = kept.filter(pl.col("archive_no").is_in(c.served().implode()))
    return {
        "ehr_pop": _population(people),
        "ehr_archive": people,
        "ehr_electronic": people,
        "ehr_standard": _standard_archives(c),
        "ehr_total": kept["archive"].n_unique(),
        "ehr_dynamic": dynamic["archive_no"].n_unique(),
        "ehr_new": there.filter(pl.col("archive_date") >= c.period.start)["archive"].n_unique(),
        "ehr_closed": there.filter(ended.fill_null(False))["archive"].n_unique(),
        "ehr_open": int(people * 0.794),
    }


def _health_education(c: Counts) -> Figures:
    """健康教育: activities by form (CL_HE_FORM)."""
    form, kind, n = "health_education_activity", pl.col("activity_form"), c.months
    people = pl.col("audience_count").fill_null(1)
    individual = c.during(form)
    return {
        "he_print_types": c.kinds(form, "material_name", kind == "1", otherwise=min(12, n + 2)),
        "he_print_count": c.total(form, "material_count", kind == "1", otherwise=260 * n),
        "he_av_types": c.kinds(form, "material_name", kind == "2", otherwise=min(6, n)),
        "he_av_times": c.rows(form, kind == "2", otherwise=8 * n),
        "he_board_count": max(2, c.kinds(form, "activity_place", kind == "3")),
        "he_board_updates": c.rows(form, kind == "3", otherwise=2 * (n // 2)),
        "he_consult_times": c.rows(form, kind == "4", otherwise=n * 3 // 4),
        "he_consult_people": c.total(form, "audience_count", kind == "4", otherwise=52 * (n * 3 // 4)),
        "he_lecture_times": c.rows(form, kind == "5", otherwise=n),
        "he_lecture_people": c.total(form, "audience_count", kind == "5", otherwise=38 * n),
        "he_individual_people": 90 * n
        if individual is None
        else int(individual.select(people.filter(kind == "6").sum()).item()),
    }


def _vaccination(c: Counts) -> Figures:
    """预防接种: every dose of the programme in force at the period's end, and what else was given."""
    end = c.period.end
    programme = {
        entry.code: entry
        for name, codes in c.records.cat.codes.items()
        if name.startswith("CL_VACC_PROG_")
        for entry in codes.codes
        if (entry.valid_from is None or entry.valid_from <= end) and (entry.valid_to is None or end <= entry.valid_to)
    }
    rows = c.during("vaccination_dose")
    doses = None if rows is None else rows.select(
        "_who", dose=pl.format("{}-{}", "vaccine_code", pl.col("dose_no").cast(pl.Int64))
    ).drop_nulls("dose").group_by("dose").agg(pl.col("_who").n_unique())  # fmt: skip
    done = {} if doses is None else dict(doses.iter_rows())
    items = c.records.cat.reports["r_vaccination"].by_item
    figures: Figures = {}
    for dose in sorted({*programme, *done}):
        item = dose.lower().replace("-", "_")
        reached = 0
        if dose in programme and not dose.startswith(_BOUGHT):
            reached = c.reaching(int(str(programme[dose].attrs["min_age_months"])))
        given_ = reached - reached // 25 if doses is None else done.get(dose, 0)
        figures[f"vac_done_{item}"] = given_
        # who is due at a period's end is vaccinated within weeks
        figures[f"vac_due_{item}"] = max(given_, min(reached, given_ + given_ // 33))
    month_old, cards = c.reaching(1), c.people("vaccination_card", otherwise=c.reaching(1))
    return {
        **figures,
        "vac_cert_due": max(month_old, cards),
        "vac_cert": cards,
        "vac_due": sum(value or 0 for item, value in figures.items() if item.startswith("vac_due") and item in items),
        "vac_done": sum(value or 0 for item, value in figures.items() if item.startswith("vac_done") and item in items),
        "vac_aefi": None,
    }


def _child(c: Counts) -> Figures:
    """0～6岁儿童健康管理."""
    seen = [rows.select("_who", "_day") for form in _CHILD_FORMS if (rows := c.during(form)) is not None]
    systematic = _seen_at_every_age(c)
    under_seven, under_three = c.residents(below=7), c.residents(below=3)
    managed = pl.concat(seen)["_who"].n_unique() if seen else int(under_seven * 0.9 * c.months / 12)
    if not seen:
        systematic = int(under_three * 0.85 * c.months / 12)
    eyes = [
        rows.filter(pl.any_horizontal(pl.col(name).is_not_null() for name in _EYES if name in rows.columns)).select(
            "_who"
        )
        for form in _CHILD_FORMS[1:]
        if (rows := c.during(form)) is not None
    ]
    return {
        "child_live_births": _live_births(c),
        "child_nb_visit": _newborns_visited(c),
        "child_0_6": max(_census(under_seven), managed),
        "child_0_6_managed": managed,
        "child_0_3": max(_census(under_three), systematic),
        "child_0_3_sys": systematic,
        "child_eye": pl.concat(eyes)["_who"].n_unique() if eyes else int(managed * 0.94),
    }


def _maternal(c: Counts) -> Figures:
    """孕产妇健康管理."""
    births = _live_births(c)
    return {
        "mch_live_births": births,
        "mch_early_book": _early_booked(c),
        "mch_prenatal5": _checked_five_times(c),
        "mch_postpartum": _visited_postpartum(c),
        "mch_42d": c.people("postpartum_42d", otherwise=int(_births(c) * 0.88)),
    }


def _elderly(c: Counts) -> Figures:
    """老年人健康管理."""
    exams = c.during("health_exam")
    assert exams is not None
    old = _elder(c)
    full = pl.col("_row").is_in(c.records.complete_exams.implode())
    assessed = c.archives_with("elderly_self_care")
    guided = (pl.col("guide_codes").list.len() > 0).fill_null(False)
    managed = exams.select("_who", ok=old & full & guided & _in(assessed))
    examined = c.people("health_exam", old)
    return {
        "eld_pop": max(_census(c.residents(least=65)), examined),
        "eld_managed": people_in(managed, pl.col("ok")),
        "eld_exam": examined,
    }


def _hypertension(c: Counts) -> Figures:
    """高血压患者健康管理."""
    figures = _patients(c, "r_hypertension", ("htn_managed", "htn_standard", "htn_controlled"))
    known = int(figures["htn_managed"] or 0)
    return {"htn_est": max(int(c.residents(least=35) * _PREVALENCE_HTN), _census(known)), **figures}


def _diabetes(c: Counts) -> Figures:
    """2型糖尿病患者健康管理."""
    figures = _patients(c, "r_diabetes", ("dm_managed", "dm_standard", "dm_controlled"))
    known = int(figures["dm_managed"] or 0)
    return {"dm_est": max(int(c.residents(least=35) * _PREVALENCE_DM), _census(known)), **figures}


def _copd(c: Counts) -> Figures:
    """慢阻肺患者健康管理."""
    return _patients(c, "r_copd", ("copd_registered", "copd_managed", "copd_standard"))


def _smi(c: Counts) -> Figures:
    """严重精神障碍患者管理."""
    return _patients(c, "r_smi", ("smi_registered", "smi_managed", "smi_standard", "smi_stable"))


def _patients(c: Counts, report_id: str, items: tuple[str, ...]) -> Figures:
    """Items counted person by person; where a form is not made, a share of those registered."""
    counted = {item: patients(c, report_id, item) for item in items}
    first = counted[items[0]]
    known = first if first is not None else people_in(c.managed(_DISEASES[report_id]))
    shares = (1.0, 0.92, 0.8, 0.78)
    return {
        item: int(known * share) if (figure := counted[item]) is None else figure
        for item, share in zip(items, shares, strict=False)
    }


def _tuberculosis(c: Counts) -> Figures:
    """肺结核患者健康管理: who was notified is who was put on the register, and whoever was visited."""
    cards = c.records.get("chronic_registry")
    assert cards is not None
    mine = pl.col("disease") == "TB"
    notified = people_in(cards, mine & c.within("register_date"))
    managed = c.people("tb_first_visit", otherwise=notified)
    closed = (pl.col("stop_reason_code") == "1") & c.within("stop_date")
    treated = people_in(cards, mine & c.within("end_date") & (pl.col("manage_status") == "7"))
    visits = c.records.get("tb_followup")
    return {
        "tb_notified": max(notified, managed),
        "tb_managed": managed,
        "tb_completed": treated if visits is None else people_in(visits, closed),
        "tb_regular": treated if visits is None else people_in(visits, closed & (pl.col("dose_rate") >= 90)),
    }


def _tcm(c: Counts) -> Figures:
    """中医药健康管理."""
    form, old = "elderly_tcm", _elder(c)
    rows = c.during(form)
    answered = ALL if rows is None else given([f"q{n}" for n in range(1, 34)], rows.schema)
    children = c.reaching(*_TCM_MONTHS)
    served = c.people("child_tcm", pl.col("month_stage").is_not_null(), otherwise=int(children * 0.82))
    return {
        "eld_tcm": c.people(form, old & answered, otherwise=int(c.people("health_exam", old) * 0.86)),
        "tcm_child_due": max(children, served),
        "tcm_child": served,
    }


def _infectious(c: Counts) -> Figures:
    """传染病及突发公共卫生事件: cases within the hours their disease allows, events within 2 hours."""
    form, n = "infectious_report", c.months
    reported = c.rows(form, otherwise=n * max(1, c.records.institution.residents // 6000))
    diseases = c.records.cat.codes["CL_NOTIFIABLE"].codes
    allowed = {one.code: one.attrs.get("report_hours") for one in diseases}
    hours = pl.col("disease_code").replace_strict(allowed, default=None, return_dtype=pl.Int64).fill_null(24)
    urgent = pl.col("disease_class_code").eq_missing("A")
    for one in diseases:
        if "urgent_from" in one.attrs:
            first, last = (pl.lit(str(one.attrs[name])).str.to_date() for name in ("urgent_from", "urgent_to"))
            then = (pl.col("disease_code") == one.code) & pl.col("diagnosis_time").dt.date().is_between(first, last)
            urgent |= then.fill_null(False)
    hours = pl.when(urgent).then(2).otherwise(hours)
    soon = pl.col("report_time") <= _since("diagnosis_time") + pl.duration(hours=hours)
    quick = (pl.col("report_time") <= _since("known_time") + pl.duration(hours=2)) | (pl.col("report_kind_code") != "1")
    return {
        "inf_registered": reported,
        "inf_reported": reported,
        "inf_timely": c.rows(form, soon.fill_null(False), otherwise=reported),
        "phe_reported": c.rows("phe_report", otherwise=n // 6),
        "phe_timely": c.rows("phe_report", quick.fill_null(False), otherwise=n // 6),
    }


def _since(column: str) -> pl.Expr:
    """When hours begin to count: a day without a time is over first."""
    moment = pl.col(column)
    return pl.when(moment == moment.dt.truncate("1d")).then(moment + pl.duration(days=1)).otherwise(moment)


def _supervision(c: Counts) -> Figures:
    """卫生监督协管: patrols by kind (CL_SUP_TYPE)."""
    kind, n = pl.col("patrol_type_code"), c.months
    reported = c.rows("supervision_report", otherwise=n // 2)
    kinds = {"food": "1", "water": "2", "school": "3", "illegal": "4", "family": "5"}
    patrols: Figures = {
        f"sup_patrol_{name}": c.rows("supervision_patrol", kind == code, otherwise=n * 2 // 3)
        for name, code in kinds.items()
    }
    return {"sup_found": reported, "sup_reported": reported, **patrols}


def _funding(c: Counts) -> Figures:
    """经费与人员."""
    standard = max(25.0, _FUND_2023 + _FUND_STEP * (c.period.year - 2023))
    received = round(_population(archives_at(c.archives(), c.period.end)) * standard * c.months / 12 * 0.97, 2)
    doctors = [one for one in c.records.institution.doctors if one.from_date <= c.period.end]
    village = sum(one.village is not None for one in doctors)
    whole_time = max(1, (len(doctors) - village) // 2)
    return {
        "fund_budget": standard,
        "fund_received": received,
        "fund_spent": round(received * 0.88, 2),
        "staff_total": len(doctors),
        "staff_full_time": whole_time,
        "staff_part_time": len(doctors) - whole_time,
        "staff_village": village,
    }


FIGURES: Mapping[str, Callable[[Counts], Figures]] = {
    "r_archive": _archive,
    "r_health_education": _health_education,
    "r_vaccination": _vaccination,
    "r_child": _child,
    "r_maternal": _maternal,
    "r_elderly": _elderly,
    "r_hypertension": _hypertension,
    "r_diabetes": _diabetes,
    "r_copd": _copd,
    "r_smi": _smi,
    "r_tb": _tuberculosis,
    "r_tcm": _tcm,
    "r_infectious": _infectious,
    "r_supervision": _supervision,
    "r_funding": _funding,
}

#: Of two items of one report the first is never more than the second (RPT-R-030 … 042); vaccines beside these.
PARTS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "r_archive": (
        ("ehr_electronic", "ehr_archive"), ("ehr_standard", "ehr_electronic"), ("ehr_dynamic", "ehr_total"),
        ("ehr_archive", "ehr_pop"), ("ehr_open", "ehr_electronic"),
    ),
    "r_vaccination": (("vac_cert", "vac_cert_due"), ("vac_done", "vac_due")),
    "r_child": (
        ("child_nb_visit", "child_live_births"), ("child_0_6_managed", "child_0_6"), ("child_0_3_sys", "child_0_3"),
        ("child_eye", "child_0_6_managed"),
    ),
    "r_maternal": tuple(
        (part, "mch_live_births") for part in ("mch_early_book", "mch_prenatal5", "mch_postpartum")
    ),
    "r_elderly": (("eld_managed", "eld_exam"), ("eld_exam", "eld_pop")),
    "r_hypertension": (
        ("htn_managed", "htn_est"), ("htn_standard", "htn_managed"), ("htn_controlled", "htn_managed"),
    ),
    "r_diabetes": (("dm_managed", "dm_est"), ("dm_standard", "dm_managed"), ("dm_controlled", "dm_managed")),
    "r_copd": (("copd_managed", "copd_registered"), ("copd_standard", "copd_managed")),
    "r_smi": (
        ("smi_managed", "smi_registered"), ("smi_standard", "smi_managed"), ("smi_stable", "smi_managed"),
    ),
    "r_tb": (("tb_managed", "tb_notified"), ("tb_regular", "tb_completed")),
    "r_tcm": (("tcm_child", "tcm_child_due"),),
    "r_infectious": (
        ("inf_timely", "inf_reported"), ("inf_reported", "inf_registered"), ("phe_timely", "phe_reported"),
    ),
    "r_supervision": (("sup_reported", "sup_found"),),
    "r_funding": (
        ("fund_spent", "fund_received"), ("staff_full_time", "staff_total"), ("staff_village", "staff_total"),
    ),
}  # fmt: skip


def _population(archives: int) -> int:
    return int(archives * 1.063) + 11


def _census(people: int) -> int:
    """A little more than are known."""
    return int(people * 1.03) + 2


def _in(archives: pl.Series | None) -> pl.Expr:
    """Whether the archive is among these; yes where nobody can tell."""
    return ALL if archives is None else pl.col("archive_no").is_in(archives.implode())


def _elder(c: Counts) -> pl.Expr:
    """65 and more, by year of birth."""
    return (c.period.year - pl.col("birth_date").dt.year() >= 65).fill_null(False)


def _births(c: Counts) -> int:
    """Children born in the period to those who live there."""
    return c.reaching(0)


def _live_births(c: Counts) -> float:
    """One figure for two reports: what was delivered, or more where more mothers or children were seen."""
    delivered = c.rows("delivery_record", pl.col("outcome_code") == "1", otherwise=_births(c))
    return max(delivered, _newborns_visited(c), _early_booked(c), _checked_five_times(c), _visited_postpartum(c))


def _newborns_visited(c: Counts) -> float:
    """Children born in the period who were ever visited."""
    rows = c.records.get("newborn_visit")
    return int(_births(c) * 0.96) if rows is None else people_in(rows, c.within("birth_date"))


def _early_booked(c: Counts) -> float:
    """Mothers of the period's births whose first check-up of that pregnancy was at 13 weeks at most."""
    first = c.records.get("prenatal_first")
    births = c.during("delivery_record")
    if first is None or births is None:
        return int(_births(c) * 0.93)
    days = pl.col("gest_weeks") * 7 + pl.col("gest_days").fill_null(0)
    checks = first.filter((days <= 13 * 7).fill_null(False)).select("archive_no", check="_day")
    return people_in(_cared(births, checks))


def _checked_five_times(c: Counts) -> float:
    births = c.during("delivery_record")
    forms = ("prenatal_first", "prenatal_followup")
    checks = [rows for form in forms if (rows := c.records.get(form)) is not None]
    if not checks or births is None:
        return int(_births(c) * 0.9)
    made = pl.concat([rows.select("archive_no", check="_day", key="record_id") for rows in checks])
    often = _cared(births, made).group_by("archive_no", "_who").agg(n=pl.struct("check", "key").n_unique())
    return people_in(often, pl.col("n") >= 5)


def _cared(births: pl.DataFrame, checks: pl.DataFrame) -> pl.DataFrame:
    """Each birth with the check-ups of the pregnancy before it."""
    both = (
        births.drop_nulls("archive_no")
        .select("archive_no", "_who", "_day")
        .join(checks.drop_nulls(["archive_no", "check"]), on="archive_no")
    )
    return both.filter(pl.col("check").is_between(pl.col("_day") - pl.duration(days=310), pl.col("_day")))


def _visited_postpartum(c: Counts) -> float:
    soon = pl.col("visit_date") <= pl.col("discharge_date") + pl.duration(days=28)
    return c.people("postpartum_visit", soon.fill_null(False), otherwise=int(_births(c) * 0.94))


def _seen_at_every_age(c: Counts) -> int:
    """Children under three at the period's end who had as many visits as ages of visit they reached in it."""
    p = c.records.cat.reports["r_child"].by_item["child_0_3_sys"].params
    made = [
        rows.select("_who", "_day", "birth_date", archive=pl.coalesce("archive_no", "record_id"))
        for form in _CHILD_FORMS[:3]
        if (rows := c.during(form)) is not None
    ]
    if not made:
        return 0
    visits = (
        pl.concat(made)
        .group_by("archive")
        .agg(
            pl.col("_who").first(), pl.col("_day").n_unique().alias("visits"), pl.col("birth_date").max().alias("born")
        )
    )
    born, end = pl.col("born"), c.period.end
    until = end - timedelta(days=int(p["grace_days"]))
    ages = [born.dt.offset_by(f"{month}mo").is_between(c.period.start, until).cast(pl.Int32) for month in p["months"]]
    young = born.dt.offset_by(f"{p['below_months']}mo") > end
    return people_in(visits, young & (pl.col("visits") >= pl.sum_horizontal(ages)))


def _standard_archives(c: Counts) -> int:
    """规范化电子健康档案, tier S2 (reports.md 4.3): a right number and the basic items, and for those it concerns a
    service of their kind within the year."""
    p = c.records.cat.reports["r_archive"].by_item["ehr_standard"].params
    end = c.period.end
    gone = pl.col("archive_status").is_in(["3", "9"]) & (pl.col("archive_status_date") <= end)
    ended = pl.col("archive_status").is_in(["2", "3", "4", "9"]) & (pl.col("archive_status_date") <= end)
    there = c.archives().filter(~gone.fill_null(False)).with_columns(_ended=ended.fill_null(False))
    people = there.sort("_ended", "archive_date", "archive", descending=[False, True, False]).unique(
        "_who", keep="first", maintain_order=True
    )
    basic = people.filter(valid_numbers(people["id_card_no"]) & given(p["s1_fields"], people.schema))
    needs: list[tuple[pl.Series, list[str]]] = [
        (people.filter(end.year - pl.col("birth_date").dt.year() >= p["elder_age"])["archive"], p["elder_forms"]),
        (people.filter(whole_years(pl.col("birth_date"), pl.lit(end)) < p["child_age"])["archive"], p["child_forms"]),
    ]
    for disease in dict.fromkeys(pair.split(":")[0] for pair in p["disease_forms"]):
        forms = [pair.split(":")[1] for pair in p["disease_forms"] if pair.startswith(f"{disease}:")]
        needs.append((c.managed(disease)["archive_no"], forms))
    unmet: set[str] = set()
    for who, forms in needs:
        had = [served for form in forms if (served := c.archives_with(form)) is not None]
        unmet |= set(who.to_list()) - set(pl.concat(had).to_list() if had else [])
    return people_in(basic, ~pl.col("archive").is_in(sorted(unmet)))
