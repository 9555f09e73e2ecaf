"""What each report says: a figure for every item, counted from an institution's judged records (reports.md, 2 and 4).

Belongs here: one function a report, from a period's counts to its figures; parts and wholes. Does not belong here:
periods and rows (``report``), how records are picked (``report_counts``).

Figures that no record tells (population, estimates, funds) are put a little above what the records hold, as a
statistical office would have them, so that no part exceeds its whole. 规范管理 is counted by number of services and the
yearly examination; intervals and severe faults of single visits are left out. What nobody knows is None: not reported.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import polars as pl

from phqc_pipeline.sample.report_counts import ALL, FACE_TO_FACE, Counts, archives_at, given, people_in

Figures = dict[str, float | None]

_PREVALENCE_HTN, _PREVALENCE_DM = 0.30, 0.11  # of residents of 35 and more, what the estimates hang on
_FUND_2023, _FUND_STEP = 89.0, 5.0  # yuan a head in 2023, and how much more each year
_CHILD_FORMS = ("newborn_visit", "child_exam_1_8m", "child_exam_12_30m", "child_exam_3_6y")
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
        "ehr_standard": int(people * 0.872),
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
        pl.format("{}-{}", "vaccine_code", pl.col("dose_no").cast(pl.Int64)).alias("dose")
    )["dose"].value_counts()  # fmt: skip
    done = {} if doses is None else dict(doses.drop_nulls().iter_rows())
    figures: Figures = {}
    for dose in sorted({*programme, *done}):
        item = dose.lower().replace("-", "_")
        reached = 0
        if dose in programme and not dose.startswith(_BOUGHT):
            reached = c.reaching(int(str(programme[dose].attrs["min_age_months"])))
        given_ = int(reached * 0.96) if doses is None else done.get(dose, 0)
        figures[f"vac_done_{item}"] = given_
        figures[f"vac_due_{item}"] = max(given_, reached)
    month_old, cards = c.reaching(1), c.people("vaccination_card", otherwise=c.reaching(1))
    return {
        **figures,
        "vac_cert_due": max(month_old, cards),
        "vac_cert": cards,
        "vac_due": sum(value or 0 for item, value in figures.items() if item.startswith("vac_due")),
        "vac_done": sum(value or 0 for item, value in figures.items() if item.startswith("vac_done")),
        "vac_aefi": None,
    }


def _child(c: Counts) -> Figures:
    """0～6岁儿童健康管理."""
    seen = [rows.select("_who", "_day") for form in _CHILD_FORMS if (rows := c.during(form)) is not None]
    infants = [c.during(form) for form in _CHILD_FORMS[:3]]
    visits = pl.concat([rows.select("_who", "_day") for rows in infants if rows is not None] or [_NOBODY])
    systematic = int((visits.unique()["_who"].value_counts()["count"] >= 2).sum())
    under_seven, under_three = c.residents(below=7), c.residents(below=3)
    managed = pl.concat(seen)["_who"].n_unique() if seen else int(under_seven * 0.9 * c.months / 12)
    if not seen:
        systematic = int(under_three * 0.85 * c.months / 12)
    eyes = [
        rows.select(pl.col("_who").filter(given(["vision_left"], rows.schema) | given(["eye_code"], rows.schema)))
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
    form = c.records.cat.forms["health_exam"]
    full = given([field.name for field in form.fields if field.required == "always"], exams.schema)
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
    limit = pl.when(c.period.year - pl.col("birth_date").dt.year() >= 65).then(150).otherwise(140)
    controlled = (pl.col("sbp") < limit) & (pl.col("dbp") < 90)
    seen = _followed(c, "HTN", "htn_followup", FACE_TO_FACE, controlled)
    return {
        "htn_est": max(int(c.residents(least=35) * _PREVALENCE_HTN), _census(people_in(seen))),
        "htn_managed": people_in(seen),
        "htn_standard": people_in(seen, (pl.col("times") >= c.due(4)) & _in(c.archives_with("health_exam"))),
        "htn_controlled": people_in(seen, pl.col("good")),
    }


def _diabetes(c: Counts) -> Figures:
    """2型糖尿病患者健康管理."""
    tested = FACE_TO_FACE & pl.col("fbg").is_not_null()
    seen = _followed(c, "T2DM", "t2dm_followup", tested, pl.col("fbg") < 7.0)
    return {
        "dm_est": max(int(c.residents(least=35) * _PREVALENCE_DM), _census(people_in(seen))),
        "dm_managed": people_in(seen),
        "dm_standard": people_in(seen, (pl.col("times") >= c.due(4)) & _in(c.archives_with("health_exam"))),
        "dm_controlled": people_in(seen, pl.col("good")),
    }


def _copd(c: Counts) -> Figures:
    """慢阻肺患者健康管理: two visits a year by default (reports.md 4.1, not checked)."""
    registered = people_in(c.managed("COPD"))
    if c.during("copd_followup") is None:
        return {
            "copd_registered": registered,
            "copd_managed": int(registered * 0.92),
            "copd_standard": int(registered * 0.8),
        }
    seen = _followed(c, "COPD", "copd_followup", FACE_TO_FACE, ALL)
    return {
        "copd_registered": registered,
        "copd_managed": people_in(seen),
        "copd_standard": people_in(seen, pl.col("times") >= c.due(2)),
    }


def _smi(c: Counts) -> Figures:
    """严重精神障碍患者管理: of those registered at some time of the year, who is willing to be managed and was seen."""
    registered = people_in(c.managed("SMI"))
    willing = c.records.get("smi_registration")
    if willing is None or c.during("smi_followup") is None:
        shares = {"smi_managed": 0.94, "smi_standard": 0.88, "smi_stable": 0.8}
        return {"smi_registered": registered, **{item: int(registered * share) for item, share in shares.items()}}
    consent = willing.filter(pl.col("consent_code") == "1")["archive_no"]
    seen = _followed(c, "SMI", "smi_followup", ALL, pl.col("class_code") == "3")
    seen = seen.filter(_in(consent))
    return {
        "smi_registered": registered,
        "smi_managed": people_in(seen),
        "smi_standard": people_in(seen, pl.col("times") >= c.due(4)),
        "smi_stable": people_in(seen, pl.col("good")),
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
    served = c.people("child_tcm", otherwise=int(children * 0.82))
    return {
        "eld_tcm": c.people(form, old & answered, otherwise=int(c.people("health_exam", old) * 0.86)),
        "tcm_child_due": max(children, served),
        "tcm_child": served,
    }


def _infectious(c: Counts) -> Figures:
    """传染病及突发公共卫生事件: cases within the hours their disease allows, events within 2 hours."""
    form, n = "infectious_report", c.months
    reported = c.rows(form, otherwise=n * max(1, c.records.institution.residents // 6000))
    allowed = {one.code: one.attrs.get("report_hours") for one in c.records.cat.codes["CL_NOTIFIABLE"].codes}
    hours = pl.col("disease_code").replace_strict(allowed, default=24, return_dtype=pl.Int64)
    late = pl.col("report_time") > pl.col("diagnosis_time") + pl.duration(hours=hours)
    slow = (pl.col("report_time") > pl.col("known_time") + pl.duration(hours=2)) & (pl.col("report_kind_code") == "1")
    return {
        "inf_registered": reported,
        "inf_reported": reported,
        "inf_timely": c.rows(form, ~late.fill_null(False), otherwise=reported),
        "phe_reported": c.rows("phe_report", otherwise=n // 6),
        "phe_timely": c.rows("phe_report", ~slow.fill_null(False), otherwise=n // 6),
    }


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

_NOBODY = pl.DataFrame(schema={"_who": pl.String, "_day": pl.Date})


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


def _followed(c: Counts, disease: str, form: str, counts: pl.Expr, good: pl.Expr) -> pl.DataFrame:
    """Who is registered with a disease and was seen in the year: ``managed`` with ``times`` (days with a visit that
    counts) and ``good`` (whether the last visit was)."""
    visits = c.during(form)
    assert visits is not None
    seen = visits.group_by("archive_no").agg(
        times=pl.col("_day").filter(counts).n_unique(), good=good.fill_null(False).last()
    )
    return c.managed(disease).join(seen, on="archive_no", how="inner")


def _births(c: Counts) -> int:
    """Children born in the period to those who live there."""
    return c.reaching(0)


def _live_births(c: Counts) -> float:
    """One figure for two reports: what was delivered, or more where more mothers or children were seen."""
    delivered = c.rows("delivery_record", pl.col("outcome_code") == "1", otherwise=_births(c))
    return max(delivered, _newborns_visited(c), _early_booked(c), _checked_five_times(c), _visited_postpartum(c))


def _newborns_visited(c: Counts) -> float:
    return c.people("newborn_visit", c.within("birth_date"), otherwise=int(_births(c) * 0.96))


def _early_booked(c: Counts) -> float:
    """Mothers of the period's births whose first check-up was at 13 weeks at most."""
    first = c.records.get("prenatal_first")
    if first is None:
        return int(_births(c) * 0.93)
    days = pl.col("gest_weeks") * 7 + pl.col("gest_days").fill_null(0)
    return c.people("delivery_record", _in(first.filter(days <= 13 * 7)["archive_no"].drop_nulls()))


def _checked_five_times(c: Counts) -> float:
    checks = [c.records.get(form) for form in ("prenatal_first", "prenatal_followup")]
    made = [rows["archive_no"] for rows in checks if rows is not None]
    if not made:
        return int(_births(c) * 0.9)
    often = pl.concat(made).drop_nulls().value_counts().filter(pl.col("count") >= 5)["archive_no"]
    return c.people("delivery_record", _in(often))


def _visited_postpartum(c: Counts) -> float:
    soon = pl.col("visit_date") <= pl.col("discharge_date") + pl.duration(days=28)
    return c.people("postpartum_visit", soon.fill_null(False), otherwise=int(_births(c) * 0.94))
