"""Reports, plans and settings: what is reported, what runs when.

Belongs here: ``rules/reports``, ``rules/plans`` and ``rules/settings.yaml`` as checked objects.
Does not belong here: forms, rules, schemes (``schemes``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date

from phqc_pipeline.catalogue.deliveries import header_key
from phqc_pipeline.catalogue.dictionary import parse_type
from phqc_pipeline.catalogue.faults import did_you_mean
from phqc_pipeline.catalogue.model import Form, Place, Plan, Report, ReportItem, Sampling, Scheme, Settings
from phqc_pipeline.catalogue.reading import SETTINGS_FILE, Reader, label, place_of
from phqc_pipeline.catalogue.schema import PlanIn, ReportIn, ReportItemIn, SamplingIn, SettingsIn
from phqc_pipeline.catalogue.yaml_lines import Document, Path_

# Columns every report extract has beside its items (contract, section 2).
REPORT_COLUMNS = ("institution_code", "institution_name", "year", "period")
_CRON_FIELD = re.compile(r"[0-9*/,\-]+")
_CRON_BOUNDS = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))


def read_reports(reader: Reader, forms: Mapping[str, Form]) -> dict[str, Report]:
    """Every report of ``reports/*.yaml`` by its id. ``forms``: what its items may be counted from."""
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
        items = _items(reader, source, document, where, forms)
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
        also = None if source.also_score == "all" else tuple(source.also_score)
        for index, scheme_id in enumerate(also or ()):
            if scheme_id not in schemes and scheme_id not in reader.broken:
                remedy = did_you_mean(scheme_id, schemes, "改成 schemes/ 里有的方案编号")
                reader.fault(document, ("also_score", index), where, f"没有方案 {scheme_id}", remedy)
        found[source.plan_id] = Plan(
            plan_id=source.plan_id,
            title=source.title or source.plan_id,
            scheme=source.scheme,
            schedule=source.schedule,
            institutions=None if source.institutions == "all" else tuple(source.institutions),
            forms=wanted,
            period=_period(reader, source, document, where),
            records_from=source.records_from,
            sampling=None if isinstance(source.sampling, str) else _sampling(source.sampling),
            also_score=also,
            active=source.active,
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


def _period(reader: Reader, source: PlanIn, document: Document, where: str) -> str:
    if isinstance(source.period, str):
        return source.period
    begins = source.period.begins
    try:  # in a common year: a year that began on 29 February would begin one day off most years
        date.fromisoformat(f"2001-{begins}")
    except ValueError:
        remedy = '写月-日，例如 {begins: "10-01"}（考核年度自 10 月 1 日起）'
        reader.fault(document, ("period", "begins"), where, f"统计期起始日“{begins}”不是日期", remedy)
        return "natural_year"
    return begins


def _sampling(source: SamplingIn) -> Sampling:
    return Sampling(source.fraction, source.size, source.minimum, source.seed, tuple(dict.fromkeys(source.strata)))


def _items(
    reader: Reader, source: ReportIn, document: Document, where: str, forms: Mapping[str, Form]
) -> tuple[ReportItem, ...]:
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
        _check_recount(reader, entry, document, path, said, forms)
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
                model=entry.model or "",
                reads={form_id: tuple(names) for form_id, names in entry.reads.items()},
                reads_any=entry.reads_any,
                params=dict(entry.params),
                place=place,
            )
        )
    return tuple(found)


def _check_recount(
    reader: Reader, entry: ReportItemIn, document: Document, path: Path_, said: str, forms: Mapping[str, Form]
) -> None:
    """What an item says of its recount: forms and columns there are, figures and words for parameters."""

    def fault(key: str, problem: str, remedy: str) -> None:
        reader.fault(document, (*path, key), said, problem, remedy)

    if entry.model and not entry.recomputed:
        fault("model", "写了 model 而没有写 recomputed: true", "能由记录重算的项写 recomputed: true")
    if entry.model and not entry.reads:
        fault("model", "写了 model 而没有写 reads", "补上 reads: {表单: [列]}")
    for form_id, names in entry.reads.items():
        if form_id not in forms:
            if form_id not in reader.broken:
                fault("reads", f"没有表单 {form_id}", did_you_mean(form_id, forms, "写 forms/ 里有的表单编号"))
            continue
        for name in names:
            if not forms[form_id].has(name) and name not in reader.broken:
                remedy = did_you_mean(name, forms[form_id].by_name, "写该表单已有的字段名")
                fault("reads", f"{form_id} 没有字段 {name}", remedy)
    for name, value in entry.params.items():
        plain = value if isinstance(value, list) else [value]
        if not plain or not all(isinstance(one, (str, int, float, date)) for one in plain):
            fault("params", f"参数 {name} 的值不能用", "写数、文字、日期或它们的列表")


def _stem(document: Document) -> str:
    return document.file.rsplit("/", 1)[-1].removesuffix(".yaml")
