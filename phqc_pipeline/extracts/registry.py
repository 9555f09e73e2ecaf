"""The registry: institutions, doctors, orders, payments, waivers (contract, section 2, registry files).

Belongs here: reading and validating them, and who is below whom. Does not belong here: what an order costs, whom a
waiver spares.

A faulty row is reported and left out; a missing column stops the run, with every fault of every file named at once.
The files are small (a county's largest, the doctors, has a few thousand rows).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import polars as pl

from phqc_pipeline.catalogue.deliveries import header_key
from phqc_pipeline.catalogue.model import Catalogue
from phqc_pipeline.extracts.cells import EMPTY, narrowed, stripped
from phqc_pipeline.extracts.dates import parse_times
from phqc_pipeline.extracts.header import known_headers
from phqc_pipeline.extracts.read_csv import open_csv
from phqc_pipeline.extracts.reports import read_periods
from phqc_pipeline.extracts.rows import Owner
from phqc_pipeline.extracts.shapes import ROW_NUMBER, UnreadableError
from phqc_pipeline.home import Home

#: How a resident was asked, what came of it, and what was concluded (抽样核查表).
VERIFICATION_METHODS = ("电话", "入户")
VERIFICATION_OUTCOMES = ("相符", "不相符", "未接通", "空号停机", "拒访")
VERIFICATION_CONCLUSIONS = ("属实", "不属实", "待定")
ROUNDINGS = ("yuan_down", "yuan_half_up", "fen_half_up")
#: The five grades of the confirmation sheet (服务合同·附件二), the best first.
SATISFACTION = ("非常满意", "满意", "一般", "不满意", "非常不满意")

#: Money and rates as the files hold them: exact, 18 digits, 6 of them decimals.
MONEY = pl.Decimal(18, 6)

_REGION_DIGITS = 9
_DECIMAL = r"^\d{1,12}(?:\.\d{1,6})?$"
_YEAR = r"^(?:19|20)\d\d$"
_COUNT = r"^0*(?:[1-9]\d?|1\d\d|2[0-4]\d|250)$"


class RegistryError(Exception):
    """The registry cannot be used at all: a file or a column is missing. ``faults``: one sentence each."""

    def __init__(self, faults: Sequence[str]) -> None:
        self.faults = list(faults)
        super().__init__("；".join(faults))


@dataclass(frozen=True)
class _Column:
    """One column of a registry file. ``kind``: text, date, year, period, money, count or one of ``choices``.

    ``required``: no cell may be empty. ``extra``: the file may do without the column, as if every cell were empty.
    """

    name: str
    kind: str = "text"
    required: bool = True
    choices: tuple[str, ...] = ()
    extra: bool = False
    title: str = ""  # a Chinese header by which the column is known as well


@dataclass(frozen=True)
class _File:
    """One registry file. ``key``: columns that together stand for one row; empty: only whole rows may not repeat."""

    stem: str
    title: str
    columns: tuple[_Column, ...]
    key: tuple[str, ...] = ()
    spans: tuple[tuple[str, str], ...] = ()  # (from, to): dates that may not be the wrong way round


FILES: Mapping[str, _File] = {
    "institutions": _File(
        "institution",
        "机构",
        (
            _Column("institution_code"),
            _Column("institution_name"),
            _Column("level", required=False),
            _Column("parent_code", required=False),
            _Column("region_code", required=False),
        ),
        key=("institution_code",),
    ),
    "doctors": _File(
        "doctor",
        "医生",
        (
            _Column("institution_code"),
            _Column("doctor_id", required=False),
            _Column("doctor_name"),
            _Column("from_date", "date", required=False),
            _Column("to_date", "date", required=False),
        ),
        spans=(("from_date", "to_date"),),
    ),
    "orders": _File(
        "order",
        "订单",
        (
            _Column("order_no"),
            _Column("institution_code"),
            _Column("basis_report"),
            _Column("basis_year", "year"),
            _Column("basis_period", "period"),
            _Column("basis_item"),
            _Column("unit_price", "money"),
            _Column("currency"),
            _Column("rounding", "choice", choices=ROUNDINGS),
            _Column("signed_on", "date", required=False),
            _Column("service_from", "date"),
            _Column("service_to", "date"),
            _Column("penalty_rate", "money", required=False),
            _Column("pricing", required=False, extra=True),
            _Column("minimum_amount", "money", required=False, extra=True),
            _Column("payment_working_days", "count", required=False, extra=True),
        ),
        key=("order_no", "institution_code", "basis_report", "basis_year", "basis_period", "basis_item"),
        spans=(("service_from", "service_to"),),
    ),
    "payments": _File(
        "payment",
        "付款",
        (
            _Column("order_no"),
            _Column("paid_on", "date"),
            _Column("amount", "money"),
            _Column("invoice_no", required=False),
        ),
    ),
    "waivers": _File(
        "waiver",
        "豁免",
        (
            _Column("rule_id"),
            _Column("institution_code"),
            _Column("subject_id", required=False),
            _Column("field", required=False),
            _Column("reason"),
            _Column("approved_by"),
            _Column("from_date", "date"),
            _Column("until_date", "date"),
        ),
        spans=(("from_date", "until_date"),),
    ),
    "parties": _File(
        "party",
        "合同双方",
        (
            _Column("role", "choice", choices=("seller", "buyer")),
            _Column("institution_code", required=False),
            _Column("name", required=False),
            _Column("contact", required=False),
            _Column("phone", required=False),
            _Column("address", required=False),
            _Column("bank", required=False),
            _Column("account", required=False),
            _Column("tax_no", required=False),
        ),
        key=("role", "institution_code"),
    ),
    "confirmations": _File(
        "confirmation",
        "客户服务确认单",
        (
            _Column("order_no"),
            _Column("institution_code"),
            _Column("confirmed_on", "date"),
            _Column("satisfaction", "choice", choices=SATISFACTION),
            _Column("fulfilled", "choice", choices=("是", "否")),
            _Column("opinion", required=False),
        ),
        key=("order_no", "institution_code", "confirmed_on"),
    ),
    # The answered sampling sheet, saved as CSV: lines not answered yet stand in it too.
    "verifications": _File(
        "verification",
        "抽样核查结果",
        (
            _Column("institution_code", title="机构编码"),
            _Column("form_id", required=False, title="表单编号"),
            _Column("record_id", required=False, title="记录编号"),
            _Column("archive_no", title="健康档案编号"),
            _Column("doctor_name", required=False, title="责任医生"),
            _Column("method", "choice", required=False, choices=VERIFICATION_METHODS, title="核查方式"),
            _Column("verified_on", "date", required=False, title="核查日期"),
            _Column("outcome", "choice", required=False, choices=VERIFICATION_OUTCOMES, title="核查结果"),
            _Column("sbp", "money", required=False, title="复测收缩压"),
            _Column("dbp", "money", required=False, title="复测舒张压"),
            _Column("conclusion", "choice", required=False, choices=VERIFICATION_CONCLUSIONS, title="结论"),
            _Column("verified_by", required=False, title="核查人"),
            _Column("remark", required=False, title="备注"),
        ),
        key=("institution_code", "form_id", "record_id", "archive_no", "method", "verified_on"),
    ),
}

_SAID = {
    "date": ("不是日期", "请写成 2024-01-31"),
    "year": ("不是年份", "请写四位数字，如 2023"),
    "period": ("不是报告期", "请写 Y、Q1～Q4 或 M01～M12"),
    "money": ("不是金额或比率", "请写不超过 6 位小数的非负数，如 0.6"),
    "count": ("不是天数", "请写 1～250 的整数，如 10"),
}


@dataclass(frozen=True)
class Registry:
    """What the registry says. A table is None when its file is not there: its rules are then ``not_evaluable``.

    Columns of each table are those of the contract, and any others of the file as text; dates as Date, years as Int32,
    money and rates as Decimal(18, 6), the rest as text with empty as null. ``problems``: a sentence for each row left
    out.
    """

    institutions: pl.DataFrame
    doctors: pl.DataFrame | None = None
    orders: pl.DataFrame | None = None
    payments: pl.DataFrame | None = None
    waivers: pl.DataFrame | None = None
    parties: pl.DataFrame | None = None
    confirmations: pl.DataFrame | None = None
    verifications: pl.DataFrame | None = None
    problems: list[str] = field(default_factory=list)
    fingerprint: str = ""

    def is_within(self, code: str, ancestor: str) -> bool:
        """Whether ``code`` is ``ancestor`` or below it by ``parent_code`` (a parent need not be in the file itself)."""
        seen: set[str] = set()
        while code not in seen:
            if code == ancestor:
                return True
            seen.add(code)
            parent = self.parents.get(code)
            if parent is None:
                return False
            code = parent
        return False

    def within(self, ancestor: str) -> frozenset[str]:
        """``ancestor`` and every institution below it."""
        found = {ancestor}
        waiting = [ancestor]
        while waiting:
            below = set(self.children.get(waiting.pop(), ())) - found
            found |= below
            waiting += below
        return frozenset(found)

    def owner(self, code: str) -> Owner:
        """What taking in a delivery of this institution needs to know of it.

        A code begins with its region when its first nine characters are digits and, where the registry tells the
        region, the first six of them are that county (a 22-digit code of WS 218 begins with nine other digits).
        """
        codes = self.within(code)
        regions: dict[str, str] = {}
        for one in codes:
            begin = one[:_REGION_DIGITS]
            region = self.regions.get(one) or begin
            if len(begin) == _REGION_DIGITS and begin.isdecimal() and begin.isascii() and begin[:6] == region[:6]:
                regions[one] = begin
        return Owner(code, codes, regions)

    @cached_property
    def parents(self) -> Mapping[str, str]:
        pairs = self.institutions.drop_nulls("parent_code").select("institution_code", "parent_code")
        return dict(pairs.iter_rows())

    @cached_property
    def children(self) -> Mapping[str, list[str]]:
        found: dict[str, list[str]] = {}
        for code, parent in self.parents.items():
            found.setdefault(parent, []).append(code)
        return found

    @cached_property
    def regions(self) -> Mapping[str, str]:
        pairs = self.institutions.drop_nulls("region_code").select("institution_code", "region_code")
        return dict(pairs.iter_rows())


def read_registry(home: Home, cat: Catalogue | None = None) -> Registry:
    """Read ``HOME/registry``. RegistryError names every missing column (and a missing ``institution.csv``) at once.

    With a catalogue, an order's report and item are looked up in it as well.
    """
    faults: list[str] = []
    problems: list[str] = []
    read: dict[str, tuple[pl.DataFrame, str] | None] = {}
    for name, file in FILES.items():
        path = home.registry / f"{file.stem}.csv"
        try:
            read[name] = _read(path, file, problems) if path.exists() else None
        except RegistryError as error:
            faults += error.faults
            read[name] = None
    if not (home.registry / "institution.csv").exists():
        faults.append("institution.csv：没有这个文件；请放入机构登记表（至少一家机构）")
    if faults:
        raise RegistryError(faults)
    tables = {name: found[0] if found else None for name, found in read.items()}
    institutions = tables["institutions"]
    assert institutions is not None
    tables["institutions"] = _without_cycles(institutions, problems)
    _check_references(tables, cat, problems)
    tables = {name: table.drop("_row") if table is not None else None for name, table in tables.items()}
    return Registry(**tables, problems=problems, fingerprint=_fingerprint(read))  # type: ignore[arg-type]


def _read(path: Path, file: _File, problems: list[str]) -> tuple[pl.DataFrame, str]:
    """The file's valid rows, with the row's number as ``_row``; and a fingerprint of its bytes."""
    texts = _texts(path, file, problems)
    missing = [column.name for column in file.columns if not column.extra and column.name not in texts.columns]
    if missing:
        whole = "、".join(column.name for column in file.columns if not column.extra)
        said = f"{path.name}：缺少列 {'、'.join(missing)}；表头应有 {whole}"
        raise RegistryError([said])
    extra = [column.name for column in file.columns if column.name not in texts.columns]
    texts = texts.with_columns(pl.lit(None, pl.String).alias(name) for name in extra)
    report = _Reporter(path.name, texts, problems)
    columns = {column.name: _column(texts[column.name], column, report) for column in file.columns}
    table = texts.with_columns(columns.values())
    for start, end in file.spans:
        wrong = (table[start] > table[end]).fill_null(False)
        report.faulty(wrong, end, f"早于 {start}", "请改正起止日期")
    table = table.filter(~report.left_out)
    return _without_repeats(table, texts, file, report), hashlib.sha256(path.read_bytes()).hexdigest()


def _texts(path: Path, file: _File, problems: list[str]) -> pl.DataFrame:
    """The rows as text, empty as null, columns by their header; ``_row`` as a spreadsheet counts."""
    known = known_headers((column.name, filter(None, (column.name, column.title)), ()) for column in file.columns)
    try:
        table = open_csv(path, known)
        batches, first = [], table.first_row
        for piece in table.pieces:
            batch = piece()
            for row in batch.rejected:
                problems.append(f"{path.name} 第 {first + row.row_number} 行：{row.reason}；该行未采用，请改正")
            batches.append(batch.cells.with_columns(pl.col(ROW_NUMBER) + first))
            first += batch.span
    except UnreadableError as error:
        raise RegistryError([f"{path.name}：{error.reason}"]) from None
    by_name: dict[str, int] = {}
    for place, header in enumerate(table.header.names):
        by_name.setdefault(known.field(header) or header_key(header), place)
    schema = {ROW_NUMBER: pl.Int64, **{str(place): pl.String for place in by_name.values()}}
    cells = pl.concat([pl.DataFrame(schema=schema), *(batch.select(*schema) for batch in batches)])
    named = cells.select(
        pl.col(ROW_NUMBER).alias("_row"), *(pl.col(str(place)).alias(name) for name, place in by_name.items() if name)
    )
    return named.with_columns(_bare(named[name]) for name in named.columns[1:])


def _bare(text: pl.Series) -> pl.Series:
    bare = stripped(text)
    silent = bare.is_in(EMPTY).fill_null(False)
    return bare.set(silent, None) if silent.any() else bare


class _Reporter:
    """Faulty rows of one file: a sentence for each, and which rows they are."""

    def __init__(self, name: str, table: pl.DataFrame, problems: list[str]) -> None:
        self.name = name
        self.rows = table["_row"]
        self.texts = table
        self.problems = problems
        self.left_out = pl.repeat(False, table.height, dtype=pl.Boolean, eager=True)

    def faulty(self, wrong: pl.Series, column: str, what: str, remedy: str) -> None:
        fresh = wrong & ~self.left_out
        if fresh.any():
            shown = self.texts[column].filter(fresh)
            for row, value in zip(self.rows.filter(fresh), shown, strict=True):
                said = f"“{value}”{what}" if value is not None else what
                self.problems.append(f"{self.name} 第 {row} 行 {column}：{said}；该行未采用，{remedy}")
            self.left_out |= fresh


def _column(text: pl.Series, column: _Column, report: _Reporter) -> pl.Series:
    if column.required:
        report.faulty(text.is_null(), column.name, "为空", "请填写")
    value = _PARSERS[column.kind](narrowed(text)) if column.kind in _PARSERS else text
    unreadable = text.is_not_null() & value.is_null()
    if unreadable.any():
        report.faulty(unreadable, column.name, *_SAID[column.kind])
    if column.choices:
        known = value.is_in(list(column.choices)).fill_null(True)
        report.faulty(~known, column.name, "不在允许的写法里", f"请写 {'、'.join(column.choices)} 之一")
    return value.alias(column.name)


def _years(text: pl.Series) -> pl.Series:
    return text.set(~text.str.contains(_YEAR).fill_null(True), None).cast(pl.Int32)


def _money(text: pl.Series) -> pl.Series:
    return text.set(~text.str.contains(_DECIMAL).fill_null(True), None).cast(MONEY)


def _counts(text: pl.Series) -> pl.Series:
    return text.set(~text.str.contains(_COUNT).fill_null(True), None).cast(pl.Int32)


_PARSERS: Mapping[str, Callable[[pl.Series], pl.Series]] = {
    "date": lambda text: parse_times(text).dt.date(),
    "year": _years,
    "period": read_periods,
    "money": _money,
    "count": _counts,
}


def _without_repeats(table: pl.DataFrame, texts: pl.DataFrame, file: _File, report: _Reporter) -> pl.DataFrame:
    """Without rows that repeat an earlier one: whole, or (a contradiction) only in their key."""
    key = list(file.key) or [name for name in texts.columns if name != "_row"]
    repeated = ~table.select(pl.struct(key).is_first_distinct()).to_series()
    for row in table.filter(repeated)["_row"]:
        first = key[0]
        value = table.filter(pl.col("_row") == row)[first][0]
        report.problems.append(
            f"{report.name} 第 {row} 行 {first}：“{value}”与前面的行重复；该行未采用，请删去重复的行"
        )
    return table.filter(~repeated)


def _without_cycles(institutions: pl.DataFrame, problems: list[str]) -> pl.DataFrame:
    """Without institutions that are above themselves."""
    parents = dict(institutions.drop_nulls("parent_code").select("institution_code", "parent_code").iter_rows())
    circular = {code for code in parents if _comes_back(code, parents)}
    for row, code in institutions.select("_row", "institution_code").iter_rows():
        if code in circular:
            said = f"“{parents[code]}”使上下级关系绕回“{code}”自己；该行未采用，请改正上级机构编码"
            problems.append(f"institution.csv 第 {row} 行 parent_code：{said}")
    return institutions.filter(~pl.col("institution_code").is_in(sorted(circular)))


def _comes_back(code: str, parents: Mapping[str, str]) -> bool:
    seen: set[str] = set()
    above = parents.get(code)
    while above is not None and above not in seen:
        if above == code:
            return True
        seen.add(above)
        above = parents.get(above)
    return False


def _check_references(tables: dict[str, pl.DataFrame | None], cat: Catalogue | None, problems: list[str]) -> None:
    """Leave out orders of unknown institutions (and reports, items), and payments of unknown orders."""
    institutions, orders, payments = (tables[name] for name in ("institutions", "orders", "payments"))
    assert institutions is not None
    if orders is not None:
        known = institutions["institution_code"]
        orders = _known(orders, "order.csv", "institution_code", known, "institution.csv 里没有这家机构", problems)
        if cat is not None:
            orders = _known(orders, "order.csv", "basis_report", cat.reports, "目录里没有这张报表", problems)
            orders = _known_items(orders, cat, problems)
            orders = _known_pricing(orders, cat, problems)
        tables["orders"] = orders
    if payments is not None and orders is not None:
        tables["payments"] = _known(
            payments,
            "payment.csv",
            "order_no",
            orders["order_no"],
            "order.csv 里没有这份订单（或该订单有误）",
            problems,
        )
    confirmations = tables["confirmations"]
    if confirmations is not None and orders is not None:
        pairs = orders.select(pl.concat_str("order_no", pl.lit(" "), "institution_code")).to_series()
        sheets = confirmations.with_columns(_sheet=pl.concat_str("order_no", pl.lit(" "), "institution_code"))
        what = "order.csv 里没有这家机构的这份订单"
        tables["confirmations"] = _known(sheets, "confirmation.csv", "_sheet", pairs, what, problems).drop("_sheet")


def _known(
    table: pl.DataFrame, name: str, column: str, known: Iterable[str], what: str, problems: list[str]
) -> pl.DataFrame:
    found = pl.col(column).is_in(sorted(set(known)))
    for row, value in table.filter(~found).select("_row", column).iter_rows():
        problems.append(f"{name} 第 {row} 行 {column}：“{value}”{what}；该行未采用，请核对")
    return table.filter(found)


def _known_items(orders: pl.DataFrame, cat: Catalogue, problems: list[str]) -> pl.DataFrame:
    kept: list[pl.DataFrame] = []
    for (report_id,), some in orders.group_by("basis_report", maintain_order=True):
        items = cat.reports[str(report_id)].by_item
        kept.append(_known(some, "order.csv", "basis_item", items, f"不是报表 {report_id} 的报表项", problems))
    return pl.concat([orders.clear(), *kept]).sort("_row")


def _known_pricing(orders: pl.DataFrame, cat: Catalogue, problems: list[str]) -> pl.DataFrame:
    named = orders.filter(pl.col("pricing").is_not_null())
    what = "不是 rules/pricing.yaml 里的计费方式"
    kept = _known(named, "order.csv", "pricing", cat.billing.pricing, what, problems)
    return pl.concat([orders.filter(pl.col("pricing").is_null()), kept]).sort("_row")


def _fingerprint(read: Mapping[str, tuple[pl.DataFrame, str] | None]) -> str:
    said = [f"{name}={found[1] if found else ''}" for name, found in sorted(read.items())]
    return hashlib.sha256("\n".join(said).encode()).hexdigest()
