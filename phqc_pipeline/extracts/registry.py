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
from typing import Any

import polars as pl

from phqc_pipeline.catalogue.deliveries import header_key
from phqc_pipeline.catalogue.model import Catalogue
from phqc_pipeline.extracts.cells import EMPTY, narrowed, stripped
from phqc_pipeline.extracts.dates import parse_times
from phqc_pipeline.extracts.header import known_headers
from phqc_pipeline.extracts.read_csv import open_csv
from phqc_pipeline.extracts.registry_files import FILES, MONEY, SAID, Column, RegistryFile, RowProblem, shown_value
from phqc_pipeline.extracts.reports import read_periods
from phqc_pipeline.extracts.rows import Owner
from phqc_pipeline.extracts.shapes import ROW_NUMBER, UnreadableError
from phqc_pipeline.home import Home

_REGION_DIGITS = 9
_TABLES = (".csv", ".xlsx", ".xls", ".txt")
_DECIMAL = r"^\d{1,12}(?:\.\d{1,6})?$"
_PAYMENT = r"^\d{1,12}(?:\.\d{1,2}0{0,4})?$"
_CLOCK = r"\d[:时点]"
_RATE = r"^(?:0(?:\.\d{1,6})?|1(?:\.0{1,6})?)$"
_YEAR = r"^(?:19|20)\d\d$"
_COUNT = r"^0*(?:[1-9]\d?|1\d\d|2[0-4]\d|250)$"


class RegistryError(Exception):
    """The registry cannot be used at all: a file or a column is missing. ``faults``: one sentence each."""

    def __init__(self, faults: Sequence[str]) -> None:
        self.faults = list(faults)
        super().__init__("；".join(faults))


@dataclass(frozen=True)
class Registry:
    """What the registry says. A table is None when its file is not there: its rules are then ``not_evaluable``.

    Columns of each table are those of the contract, and any others of the file as text; dates as Date, years as Int32,
    money and rates as Decimal(18, 6), the rest as text with empty as null. ``problems``: every row left out,
    and what else to look at.
    """

    institutions: pl.DataFrame
    doctors: pl.DataFrame | None = None
    orders: pl.DataFrame | None = None
    payments: pl.DataFrame | None = None
    refunds: pl.DataFrame | None = None
    requests: pl.DataFrame | None = None
    waivers: pl.DataFrame | None = None
    parties: pl.DataFrame | None = None
    confirmations: pl.DataFrame | None = None
    verifications: pl.DataFrame | None = None
    problems: list[RowProblem] = field(default_factory=list)
    fingerprint: str = ""

    def problem_rows(self) -> pl.DataFrame:
        """``problems`` as ``ingest.registry_problem`` has them; ``row_number`` null: the file as a whole."""
        told = [
            (one.file, one.row, one.column or None, one.value, one.reason, one.remedy, one.is_left_out)
            for one in self.problems
        ]
        texts = dict.fromkeys(("column_name", "value", "reason", "remedy"), pl.String)
        schema = {"file": pl.String, "row_number": pl.Int64, **texts, "is_left_out": pl.Boolean}
        return pl.DataFrame(told, schema=schema, orient="row")

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
    problems = _strange_files(home)
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


def _strange_files(home: Home) -> list[RowProblem]:
    """Tables beside the registry's files that nothing reads: most likely one of them, misnamed."""
    names = {f"{file.stem}.csv" for file in FILES.values()}
    found = sorted(path.name for path in home.registry.glob("*.*") if path.suffix.lower() in _TABLES)
    remedy = f"登记文件只认 {'、'.join(sorted(names))}，请改名或另存为 CSV"
    return [RowProblem(name, None, "", None, "不是登记文件的名称", remedy) for name in found if name not in names]


def _read(path: Path, file: RegistryFile, problems: list[RowProblem]) -> tuple[pl.DataFrame, str]:
    """The file's valid rows, with the row's number as ``_row``; and a fingerprint of its bytes."""
    header, texts = _texts(path, file, problems)
    missing = [column.name for column in file.columns if not column.extra and column.name not in texts.columns]
    if missing:
        whole = "、".join(column.name for column in file.columns if not column.extra)
        said = f"{path.name} 第 {header} 行：缺少列 {'、'.join(missing)}；请补上，表头应有 {whole}"
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


def _texts(path: Path, file: RegistryFile, problems: list[RowProblem]) -> tuple[int, pl.DataFrame]:
    """The header's row, and the rows as text, empty as null, by their header; ``_row`` as a spreadsheet counts."""
    known = known_headers((column.name, filter(None, (column.name, column.title)), ()) for column in file.columns)
    try:
        table = open_csv(path, known)
        batches, first = [], table.first_row
        for piece in table.pieces:
            batch = piece()
            for row in batch.rejected:
                problems.append(RowProblem(path.name, first + row.row_number, "", None, row.reason, "请改正"))
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
    return table.first_row, named.with_columns(_bare(named[name]) for name in named.columns[1:])


def _bare(text: pl.Series) -> pl.Series:
    bare = stripped(text)
    silent = bare.is_in(EMPTY).fill_null(False)
    return bare.set(silent, None) if silent.any() else bare


class _Reporter:
    """Faulty rows of one file: a sentence for each, and which rows they are."""

    def __init__(self, name: str, table: pl.DataFrame, problems: list[RowProblem]) -> None:
        self.name = name
        self.rows = table["_row"]
        self.texts = table
        self.problems = problems
        self.left_out = pl.repeat(False, table.height, dtype=pl.Boolean, eager=True)
        self._told: dict[str, pl.Series] = {}

    def faulty(self, wrong: pl.Series, column: str, what: str, remedy: str) -> None:
        """Note the rows; each cell is told once, every faulty cell of a row."""
        told = self._told.get(column, pl.repeat(False, len(wrong), dtype=pl.Boolean, eager=True))
        fresh = wrong & ~told
        if fresh.any():
            shown = self.texts[column].filter(fresh)
            for row, value in zip(self.rows.filter(fresh), shown, strict=True):
                self.problems.append(RowProblem(self.name, row, column, shown_value(value, column), what, remedy))
            self.left_out |= fresh
            self._told[column] = told | fresh


def _column(text: pl.Series, column: Column, report: _Reporter) -> pl.Series:
    if column.required:
        report.faulty(text.is_null(), column.name, "为空", "请填写")
    value = _PARSERS[column.kind](narrowed(text)) if column.kind in _PARSERS else text
    unreadable = text.is_not_null() & value.is_null()
    if unreadable.any():
        report.faulty(unreadable, column.name, *SAID[column.kind])
    if column.choices:
        known = value.is_in(list(column.choices)).fill_null(True)
        report.faulty(~known, column.name, "不在允许的写法里", f"请写 {'、'.join(column.choices)} 之一")
    return value.alias(column.name)


def _years(text: pl.Series) -> pl.Series:
    return text.set(~text.str.contains(_YEAR).fill_null(True), None).cast(pl.Int32)


def _money(text: pl.Series) -> pl.Series:
    return text.set(~text.str.contains(_DECIMAL).fill_null(True), None).cast(MONEY)


def _moments(text: pl.Series) -> pl.Series:
    """Times of day: a deadline counted in hours does not follow from a date."""
    timed = text.str.contains(_CLOCK).fill_null(True)
    return parse_times(text.set(~timed, None))


def _rates(text: pl.Series) -> pl.Series:
    return text.set(~text.str.contains(_RATE).fill_null(True), None).cast(MONEY)


def _payments(text: pl.Series) -> pl.Series:
    return text.set(~text.str.contains(_PAYMENT).fill_null(True), None).cast(MONEY)


def _counts(text: pl.Series) -> pl.Series:
    return text.set(~text.str.contains(_COUNT).fill_null(True), None).cast(pl.Int32)


_PARSERS: Mapping[str, Callable[[pl.Series], pl.Series]] = {
    "date": lambda text: parse_times(text).dt.date(),
    "moment": _moments,
    "year": _years,
    "period": read_periods,
    "money": _money,
    "rate": _rates,
    "payment": _payments,
    "count": _counts,
}


def _without_repeats(table: pl.DataFrame, texts: pl.DataFrame, file: RegistryFile, report: _Reporter) -> pl.DataFrame:
    """Without rows that repeat an earlier one: whole, or (a contradiction) only in their key."""
    key = list(file.key) or [name for name in texts.columns if name != "_row"]
    repeated = ~table.select(pl.struct(key).is_first_distinct()).to_series()
    for row in table.filter(repeated)["_row"]:
        value = str(table.filter(pl.col("_row") == row)[key[0]][0])
        report.problems.append(RowProblem(report.name, row, key[0], value, "与前面的行重复", "请删去重复的行"))
    return table.filter(~repeated)


def _without_cycles(institutions: pl.DataFrame, problems: list[RowProblem]) -> pl.DataFrame:
    """Without institutions that are above themselves."""
    parents = dict(institutions.drop_nulls("parent_code").select("institution_code", "parent_code").iter_rows())
    circular = {code for code in parents if _comes_back(code, parents)}
    for row, code in institutions.select("_row", "institution_code").iter_rows():
        if code in circular:
            what = f"使上下级关系绕回“{code}”自己"
            told = RowProblem("institution.csv", row, "parent_code", parents[code], what, "请改正上级机构编码")
            problems.append(told)
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


def _check_references(
    tables: dict[str, pl.DataFrame | None], cat: Catalogue | None, problems: list[RowProblem]
) -> None:
    """Leave out orders of unknown institutions, and what belongs to unknown orders; tell what else names nothing known.

    An order whose report or kind of price the catalogue does not have still opens quality control, it cannot be priced.
    """
    known = _Known(tables, problems)
    assert tables["institutions"] is not None
    codes = tables["institutions"]["institution_code"]
    known.only("orders", ["institution_code"], codes, "institution.csv 里没有这家机构")
    if cat is not None:
        known.warn("orders", "basis_report", cat.reports, "目录里没有这张报表，不能计费")
        if tables["orders"] is not None:
            _warn_items(tables["orders"], cat, problems)
        known.warn("orders", "pricing", cat.billing.pricing, "不是 rules/pricing.yaml 里的计费方式，不能计费")
        if cat.rules:
            known.warn("waivers", "rule_id", {rule.rule_id for rule in cat.rules}, "目录里没有这条规则")
    orders = tables["orders"]
    pairs = [] if orders is None else orders.select("order_no", "institution_code").rows()
    what = "order.csv 里没有这份订单（或该订单有误）"
    known.only("payments", ["order_no"], {order_no for order_no, _ in pairs}, what)
    known.only("refunds", ["order_no"], {order_no for order_no, _ in pairs}, what)
    _warn_refunds(tables, problems)
    what = "order.csv 里没有这家机构的这份订单"
    known.only("confirmations", ["order_no", "institution_code"], {" ".join(pair) for pair in pairs}, what)
    tables["parties"] = _one_seller(tables["parties"], problems)
    # A delivery is taken in and judged whether or not the institution is registered; so such rows have their effect.
    for name in ("doctors", "waivers", "parties", "verifications", "requests"):
        known.warn(name, "institution_code", codes, "institution.csv 里没有这家机构")


@dataclass
class _Known:
    """Rows that name what is not known: left out, or only told."""

    tables: dict[str, pl.DataFrame | None]
    problems: list[RowProblem]

    def only(self, name: str, columns: list[str], known: Iterable[str], what: str) -> None:
        """Keep the rows whose ``columns``, with a blank between them, are known."""
        table = self.tables[name]
        if table is not None:
            found = pl.concat_str(columns, separator=" ").is_in(sorted(set(known)))
            self._tell(table.filter(~found), name, columns, what, is_left_out=True)
            self.tables[name] = table.filter(found)

    def warn(self, name: str, column: str, known: Iterable[str], what: str) -> None:
        """Tell of rows whose ``column`` says what is not known."""
        table = self.tables[name]
        if table is not None:
            self._tell(table.filter(~pl.col(column).is_in(sorted(set(known)))), name, [column], what, is_left_out=False)

    def _tell(self, strange: pl.DataFrame, name: str, columns: list[str], what: str, *, is_left_out: bool) -> None:
        file = f"{FILES[name].stem}.csv"
        for row, *values in strange.select("_row", *columns).iter_rows():
            told = RowProblem(file, row, columns[0], " ".join(values), what, "请核对", is_left_out)
            self.problems.append(told)


def _warn_refunds(tables: Mapping[str, pl.DataFrame | None], problems: list[RowProblem]) -> None:
    """Tell of orders of which more is paid back than was ever paid."""
    payments, refunds = tables["payments"], tables["refunds"]
    if refunds is None:
        return
    paid: dict[str, Any] = {}
    if payments is not None:
        paid = dict(payments.group_by("order_no").agg(pl.col("amount").sum()).iter_rows())
    total = pl.col("amount").cum_sum().over("order_no")
    for row, order_no, back in refunds.select("_row", "order_no", total).iter_rows():
        if back > paid.get(order_no, 0):
            what = f"累计退款 {back.normalize():f} 元，多于累计付款"
            problems.append(RowProblem("refund.csv", row, "order_no", order_no, what, "请核对", is_left_out=False))


def _one_seller(parties: pl.DataFrame | None, problems: list[RowProblem]) -> pl.DataFrame | None:
    """Without a second seller, and without buyers nobody can tell."""
    if parties is None:
        return None
    seller = pl.col("role") == "seller"
    second = seller & (seller.cum_sum() > 1)
    nameless = ~seller & pl.col("institution_code").is_null()
    for wrong, column, what, remedy in (
        (second, "role", "服务单位只能有一行", "请删去多余的"),
        (nameless, "institution_code", "用户单位没有写机构编码", "请填写"),
    ):
        rows = parties.filter(wrong)["_row"]
        value = "seller" if column == "role" else None
        problems += [RowProblem("party.csv", row, column, value, what, remedy) for row in rows]
    return parties.filter(~(second | nameless))


def _warn_items(orders: pl.DataFrame, cat: Catalogue, problems: list[RowProblem]) -> None:
    for row, report_id, item in orders.select("_row", "basis_report", "basis_item").iter_rows():
        report = cat.reports.get(report_id)
        if report is not None and item not in report.by_item:
            what = f"不是报表 {report_id} 的报表项，不能计费"
            problems.append(RowProblem("order.csv", row, "basis_item", item, what, "请核对", is_left_out=False))


def _fingerprint(read: Mapping[str, tuple[pl.DataFrame, str] | None]) -> str:
    said = [f"{name}={found[1] if found else ''}" for name, found in sorted(read.items())]
    return hashlib.sha256("\n".join(said).encode()).hexdigest()
