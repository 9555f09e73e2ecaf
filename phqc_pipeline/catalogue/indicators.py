"""Work indicators (工作指标) and the services people are due: ``indicators/*.yaml`` and ``services.yaml``.

Belongs here: what these entries may say, what they are, reading and judging them. Does not belong here: counting what
they name (``dbt_project/models/recount``, ``models/published/indicator``, ``models/marts``).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from dataclasses import field as attribute
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from phqc_pipeline.catalogue.faults import did_you_mean
from phqc_pipeline.catalogue.model import Place
from phqc_pipeline.catalogue.reading import Reader, label, place_of
from phqc_pipeline.catalogue.schema import _DICT, _LIST, Closed, CodeText, CodeTexts, Name, Names, Number, Text

if TYPE_CHECKING:
    from phqc_pipeline.catalogue.model import Form, Report

INDICATORS_FOLDER = "indicators"
SERVICES_FILE = "services.yaml"
_INDICATOR_ID = re.compile(r"I-\d{2}(\.[a-z][a-z0-9_]*)?")


class TargetIn(Closed):
    year: int = Field(ge=2009, le=2100)
    region: CodeText = ""
    value: Number
    verified: bool = False
    source: str = ""


class IndicatorIn(Closed):
    id: Text
    title: Text
    numerator: Names
    denominator: Names = _LIST
    fixed: Number | None = None
    together: bool = False
    each: Names = _LIST
    factor: Literal[1, 100, 1000] = 100
    direction: Literal["up", "down"] = "up"
    targets: list[TargetIn] = _LIST
    verified: bool = False
    source: str = ""
    note: str = ""


class ServiceIn(Closed):
    id: Name
    title: Text
    form_id: Name
    disease: CodeText | None = None
    elder_age: int | None = Field(default=None, ge=0, le=150)
    modes: CodeTexts = _LIST
    times: int = Field(ge=1, le=366)
    interval_days: int | None = Field(default=None, ge=1, le=3660)
    class_field: Name | None = None
    class_days: dict[CodeText, int] = _DICT
    ended_by: Name | None = None
    item: Name | None = None
    lead_days: int = Field(default=0, ge=0, le=366)
    horizon_days: int = Field(default=31, ge=0, le=366)
    verified: bool = False
    source: str = ""
    note: str = ""


@dataclass(frozen=True)
class Target:
    """A target value of an indicator for one year, everywhere (``region`` empty) or where codes begin with it."""

    year: int
    region: str
    value: float


@dataclass(frozen=True, eq=False)
class Indicator:
    """A rate: ``factor`` × the sum of ``numerator`` items ÷ the sum of ``denominator`` items (or ``fixed``).

    ``together``: both are people who count in every one of the items at once. ``each``: two prefixes of items; beside
    the indicator itself there is one for each pair of items with these prefixes. No denominator: a mere count.
    """

    indicator_id: str
    title: str
    numerator: tuple[str, ...]
    denominator: tuple[str, ...] = ()
    fixed: float | None = None
    together: bool = False
    each: tuple[str, ...] = ()
    factor: int = 100
    direction: str = "up"
    targets: tuple[Target, ...] = ()
    verified: bool = False
    note: str = ""
    place: Place = Place()  # noqa: RUF009


@dataclass(frozen=True, eq=False)
class Service:
    """A service that people are due: whom (``disease`` registered, or of ``elder_age``), how often.

    ``times`` a year; the next is due ``interval_days`` after the last one, or as many as ``class_days`` says of the
    last one's ``class_field``; without an interval, within the year. ``modes``: of visits, which count. ``ended_by``:
    a field that ends it once it is filled in after the registration. ``item``: the report item that counts whoever
    had it.
    """

    service_id: str
    title: str
    form_id: str
    times: int
    disease: str | None = None
    elder_age: int | None = None
    modes: tuple[str, ...] = ()
    interval_days: int | None = None
    class_field: str | None = None
    class_days: Mapping[str, int] = attribute(default_factory=dict)
    ended_by: str | None = None
    item: str | None = None
    lead_days: int = 0
    horizon_days: int = 31
    verified: bool = False
    place: Place = Place()  # noqa: RUF009


def read_indicators(reader: Reader, reports: Mapping[str, Report]) -> dict[str, Indicator]:
    """Every indicator of ``indicators/*.yaml`` by its id; there need not be any."""
    items = {item for report in reports.values() for item in report.by_item}
    sound = not any(fault.file.startswith("reports/") for fault in reader.faults)
    found: dict[str, Indicator] = {}
    places: dict[str, Place] = {}
    for document in reader.folder(INDICATORS_FOLDER):
        for path, entry in reader.entries(document, "indicators"):
            where = f"指标 {label(entry, ['id'])}"
            source = reader.check(IndicatorIn, entry, document, path, where)
            if source is None:
                continue
            place = place_of(document, path)
            if not reader.unique(places, source.id, place, where, "指标编号只用一次"):
                continue

            def fault(key: str, problem: str, remedy: str, at: Any = (document, path, where)) -> None:
                reader.fault(at[0], (*at[1], key), at[2], problem, remedy)

            _check_indicator(source, items if sound else None, fault)
            found[source.id] = _indicator(source, place)
    return found


def read_services(reader: Reader, forms: Mapping[str, Form]) -> dict[str, Service]:
    """Every service of ``services.yaml`` by its id; there need not be such a file."""
    document = reader.document(SERVICES_FILE, required=False)
    found: dict[str, Service] = {}
    places: dict[str, Place] = {}
    for path, entry in reader.entries(document, "services") if document else ():
        assert document is not None
        where = f"应做服务 {label(entry, ['id'])}"
        source = reader.check(ServiceIn, entry, document, path, where)
        if source is None:
            continue
        place = place_of(document, path)
        if not reader.unique(places, source.id, place, where, "服务编号只用一次"):
            continue

        def fault(key: str, problem: str, remedy: str, path: Any = path, where: str = where) -> None:
            reader.fault(document, (*path, key), where, problem, remedy)

        _check_service(source, forms, fault, reader.broken)
        told = source.model_dump(exclude={"id", "source", "note"})
        told |= {"modes": tuple(source.modes), "class_days": dict(source.class_days), "place": place}
        found[source.id] = Service(service_id=source.id, **told)
    return found


def _check_indicator(source: IndicatorIn, items: Collection[str] | None, fault: Any) -> None:
    if not _INDICATOR_ID.fullmatch(source.id):
        fault("id", f"编号“{source.id}”不合格式", "写成 I-15 的样子；细分的加 .英文名，例如 I-05.consult")
    for key, names in (("numerator", source.numerator), ("denominator", source.denominator)):
        for name in names:
            if items is not None and name not in items:
                fault(key, f"没有报表项 {name}", did_you_mean(name, items, "写 reports/ 里有的报表项代码"))
    if source.fixed is not None and (source.denominator or source.fixed <= 0):
        fault("fixed", "固定分母应大于 0，且不与 denominator 并写", "分母是报表项的写 denominator，是常数的写 fixed")
    if source.each and len(source.each) != 2:
        fault("each", "each 应恰好写两个前缀", "写成 [分子项的前缀, 分母项的前缀]，例如 [vac_done_, vac_due_]")
    seen: set[tuple[int, str]] = set()
    for target in source.targets:
        if (target.year, target.region) in seen:
            fault("targets", f"{target.year} 年同一区划有两个目标值", "一年一区划只写一个")
        seen.add((target.year, target.region))


def _check_service(source: ServiceIn, forms: Mapping[str, Form], fault: Any, broken: Collection[str]) -> None:
    if (source.disease is None) == (source.elder_age is None):
        fault("disease", "disease 和 elder_age 应恰好写一个", "专项登记的病种写 disease，按年龄的写 elder_age")
    form = forms.get(source.form_id)
    if form is None:
        if source.form_id not in broken:
            remedy = did_you_mean(source.form_id, forms, "写 forms/ 里有的表单编号")
            fault("form_id", f"没有表单 {source.form_id}", remedy)
        return
    for key, name in (("class_field", source.class_field), ("ended_by", source.ended_by)):
        if name and not form.has(name):
            fault(key, f"{form.form_id} 没有字段 {name}", did_you_mean(name, form.by_name, "写该表单已有的字段名"))
    if bool(source.class_field) != bool(source.class_days):
        fault("class_days", "class_field 和 class_days 要写就都写", "class_days 写 分类代码: 天数")
    if source.class_days and source.interval_days is None:
        fault("interval_days", "写了 class_days 而没有 interval_days", "补上其余分类的间隔天数")


def _indicator(source: IndicatorIn, place: Place) -> Indicator:
    return Indicator(
        indicator_id=source.id,
        title=source.title,
        numerator=tuple(source.numerator),
        denominator=tuple(source.denominator),
        fixed=source.fixed,
        together=source.together,
        each=tuple(source.each),
        factor=source.factor,
        direction=source.direction,
        targets=tuple(Target(one.year, one.region, float(one.value)) for one in source.targets),
        verified=source.verified,
        note=source.note,
        place=place,
    )
