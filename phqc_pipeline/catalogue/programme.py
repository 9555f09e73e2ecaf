"""Reports, schemes, plans and settings: what is reported, how it is scored, what runs when.

Belongs here: ``rules/reports``, ``rules/schemes``, ``rules/plans`` and ``rules/settings.yaml`` as checked objects.
Does not belong here: forms, rules.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from phqc_pipeline.catalogue.deliveries import header_key
from phqc_pipeline.catalogue.dictionary import parse_type
from phqc_pipeline.catalogue.faults import did_you_mean
from phqc_pipeline.catalogue.model import SEVERITIES, Form, Place, Plan, Report, ReportItem, Scheme, Settings
from phqc_pipeline.catalogue.reading import SETTINGS_FILE, Reader, label, place_of
from phqc_pipeline.catalogue.schema import PlanIn, ReportIn, ReportItemIn, SchemeIn, SettingsIn
from phqc_pipeline.catalogue.yaml_lines import Document

# Columns every report extract has beside its items (contract, section 2).
REPORT_COLUMNS = ("institution_code", "institution_name", "year", "period")
_CRON_FIELD = re.compile(r"[0-9*/,\-]+")
_CRON_BOUNDS = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))


def read_reports(reader: Reader) -> dict[str, Report]:
    """Every report of ``reports/*.yaml`` by its id."""
    found: dict[str, Report] = {}
    for document in reader.folder("reports"):
        stem = _stem(document)
        where = f"报表 {stem}"
        source = reader.check(ReportIn, document.data, document, (), where)
        if source is None:
            reader.broken.add(stem)
            continue
        if source.report_id != stem:
            problem = f"report_id 是 {source.report_id}，文件名却是 {stem}.yaml"
            remedy = f"把文件改名为 {source.report_id}.yaml，或改 report_id"
            reader.fault(document, ("report_id",), where, problem, remedy)
        items = _items(reader, source, document, where)
        place = place_of(document, ())
        found[source.report_id] = Report(
            source.report_id, source.title, items, tuple(source.aliases), source.source, place
        )
    return found


def check_file_names(reader: Reader, forms: Mapping[str, Form], reports: Mapping[str, Report]) -> None:
    """A landing file's name must tell which form or report it is: no id, title or alias may belong to two."""
    owners: dict[str, Form | Report] = {}
    things: list[Form | Report] = [*forms.values(), *reports.values()]
    for thing in things:
        for name in thing.names:
            owner = owners.setdefault(header_key(name), thing)
            if owner is not thing:
                problem = f"名称“{name}”与 {owner.place.file} 的名称或别名相同，投递的文件认不出是哪一张"
                reader.fault(thing.place, (), thing.title, problem, "改标题，或从其中一个的 aliases 里去掉它")


def read_schemes(reader: Reader, rule_ids: Collection[str]) -> dict[str, Scheme]:
    """Every scheme of ``schemes/*.yaml`` by its id."""
    found: dict[str, Scheme] = {}
    places: dict[str, Place] = {}
    for document in reader.folder("schemes"):
        where = f"方案 {label(document.data, ['scheme_id'])}"
        source = reader.check(SchemeIn, document.data, document, (), where)
        if source is None:
            reader.broken.add(label(document.data, ["scheme_id"]))
            continue
        if not reader.unique(places, source.scheme_id, place_of(document, ()), where, "方案编号只用一次"):
            continue
        rules = None if source.rules == "all" else tuple(source.rules)
        for index, rule_id in enumerate(rules or ()):
            if rule_id not in rule_ids and rule_id not in reader.broken:
                remedy = did_you_mean(rule_id, rule_ids, "改成规则目录里有的编号")
                reader.fault(document, ("rules", index), where, f"没有规则 {rule_id}", remedy)
        passes = _passes_without(source.pass_)
        if passes is None:
            remedy = "写“无严重”，或“无严重和一般”等：“无”后面是合格记录不得命中的级别"
            reader.fault(document, ("pass",), where, f"看不懂合格条件“{source.pass_}”", remedy)
        for severity in (*source.deductions, *SEVERITIES):
            if severity not in SEVERITIES or severity not in source.deductions:
                problem = f"扣分的级别应恰为 {'、'.join(SEVERITIES)}，“{severity}”多余或缺少"
                reader.fault(document, ("deductions",), where, problem, "写 deductions: {严重: 10, 一般: 3, 提示: 0}")
        if any(points < 0 for points in source.deductions.values()):
            reader.fault(document, ("deductions",), where, "扣分不能是负数", "写扣去的分数，例如 3")
        found[source.scheme_id] = Scheme(
            scheme_id=source.scheme_id,
            title=source.title,
            rules=rules,
            deductions=dict(source.deductions),
            passes_without=passes or (),
            profile=source.profile,
            place=place_of(document, ()),
        )
    return found


def read_plans(
    reader: Reader, forms: Mapping[str, Form], reports: Mapping[str, Report], schemes: Mapping[str, Scheme]
) -> dict[str, Plan]:
    """Every plan of ``plans/*.yaml`` by its id."""
    found: dict[str, Plan] = {}
    places: dict[str, Place] = {}
    for document in reader.folder("plans"):
        where = f"计划 {label(document.data, ['plan_id'])}"
        source = reader.check(PlanIn, document.data, document, (), where)
        if source is None:
            continue
        if not reader.unique(places, source.plan_id, place_of(document, ()), where, "计划编号只用一次"):
            continue
        if source.scheme not in schemes and source.scheme not in reader.broken:
            remedy = did_you_mean(source.scheme, schemes, "改成 schemes/ 里有的方案编号")
            reader.fault(document, ("scheme",), where, f"没有方案 {source.scheme}", remedy)
        wanted = None if source.forms == "all" else tuple(source.forms)
        for index, form_id in enumerate(wanted or ()):
            if form_id not in forms and form_id not in reports and form_id not in reader.broken:
                remedy = did_you_mean(form_id, [*forms, *reports], "改成 forms/ 里有的表单编号")
                reader.fault(document, ("forms", index), where, f"没有表单 {form_id}", remedy)
        if not is_cron(source.schedule):
            remedy = '写五段：分 时 日 月 星期，例如 "0 2 * * *"（每天 2 点）'
            reader.fault(document, ("schedule",), where, f"看不懂时间表“{source.schedule}”", remedy)
        found[source.plan_id] = Plan(
            plan_id=source.plan_id,
            title=source.title or source.plan_id,
            scheme=source.scheme,
            schedule=source.schedule,
            institutions=None if source.institutions == "all" else tuple(source.institutions),
            forms=wanted,
            period=source.period,
            records_from=source.records_from,
            place=place_of(document, ()),
        )
    return found


def read_settings(reader: Reader) -> Settings:
    """``settings.yaml``, or the defaults when there is none."""
    document = reader.document(SETTINGS_FILE, required=False)
    source = document and reader.check(SettingsIn, document.data, document, (), "全局参数")
    return Settings(**source.model_dump()) if source else Settings()


def is_cron(text: str) -> bool:
    """Whether ``text`` is a five-part cron schedule with numbers in range."""
    parts = text.split()
    return len(parts) == 5 and all(
        _CRON_FIELD.fullmatch(part) and all(low <= int(number) <= high for number in re.findall(r"(?<!/)\b\d+", part))
        for part, (low, high) in zip(parts, _CRON_BOUNDS, strict=True)
    )


def _items(reader: Reader, source: ReportIn, document: Document, where: str) -> tuple[ReportItem, ...]:
    found: list[ReportItem] = []
    places: dict[str, Place] = {}
    owners: dict[str, str] = {header_key(name): name for name in REPORT_COLUMNS}
    if not source.items:
        reader.fault(document, ("items",), where, "没有报表项", "在 items: 下列出报表项")
    for index, raw in enumerate(source.items):
        path = ("items", index)
        said = f"{where} 报表项 {label(raw, ['item'])}"
        entry = reader.check(ReportItemIn, raw, document, path, said)
        if entry is None:
            continue
        parsed = parse_type(entry.type)
        if parsed is None or parsed[0] not in ("int", "dec"):
            problem, remedy = f"报表项的类型“{entry.type}”不对", "写 int 或 dec(总位数,小数位)"
            reader.fault(document, (*path, "type"), said, problem, remedy)
        place = place_of(document, path)
        if not reader.unique(places, entry.item, place, said, "同一报表里报表项只写一次"):
            continue
        for header in (entry.item, entry.title, *entry.synonyms):
            owner = owners.setdefault(header_key(header), entry.item)
            if owner != entry.item:
                problem = f"表头“{header}”与 {owner} 的表头或同义词相同"
                reader.fault(place, (), said, problem, "改标题，或从其中一个的 synonyms 里去掉它")
        found.append(
            ReportItem(
                item=entry.item,
                title=entry.title,
                synonyms=tuple(entry.synonyms),
                type=entry.type,
                nature=entry.nature,
                recomputed=entry.recomputed,
                unit=entry.unit,
                definition=entry.definition,
                note=entry.note,
                place=place,
            )
        )
    return tuple(found)


def _passes_without(text: str) -> tuple[str, ...] | None:
    """``无严重`` → ("严重",); ``无严重和一般`` → both; None if it says something else."""
    if not text.startswith("无"):
        return None
    words = [word for word in re.split(r"[、，,和及]", text[1:]) if word]
    return tuple(words) if words and all(word in SEVERITIES for word in words) else None


def _stem(document: Document) -> str:
    return document.file.rsplit("/", 1)[-1].removesuffix(".yaml")
