"""The contract's documents: statement of charges, payment notice, confirmation sheet, renewal notice, annual report.

Belongs here: which documents a line of an order calls for, what is filled in, where they lie. Does not belong here: the
templates (``word_templates``), PDF (``pdf``).

``HOME/templates/<name>.docx``, edited in Word, takes the place of the template of that name. An institution's
documents lie in ``HOME/published/<institution_code>/计费/``: they name nobody else's figures.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl

from phqc_pipeline.billing.bill import Bill
from phqc_pipeline.billing.facts import PLACE, Particulars, line_facts
from phqc_pipeline.billing.orders import Order, OrderLine
from phqc_pipeline.billing.word_templates import TEMPLATES, WordTemplate
from phqc_pipeline.catalogue import Catalogue
from phqc_pipeline.extracts import Registry
from phqc_pipeline.home import Home
from phqc_pipeline.warehouse.files import replace_file

STATEMENT, NOTICE, SHEET, RENEWAL, REPORT = "计费结算单", "付款通知", "客户服务确认单", "续约通知", "年度服务报告"
DOCUMENTS = (STATEMENT, NOTICE, SHEET, RENEWAL, REPORT)
#: Documents that would mislead once what they ask for is done.
_PASSING = (NOTICE, RENEWAL)
#: Filled in but no reason to write a document anew.
_DATED = "出具日期"
_UNSAFE = re.compile(r'[\\/:*?"<>|\x00-\x1f]')


@dataclass(frozen=True)
class Written:
    """``fresh``: documents written or changed now; ``all``: every document there is by this bill; ``removed``."""

    fresh: tuple[Path, ...]
    all: tuple[Path, ...]
    removed: tuple[Path, ...]


def write_documents(
    home: Home,
    cat: Catalogue,
    registry: Registry,
    bill: Bill,
    *,
    findings: pl.DataFrame | None = None,
    annual: bool = False,
    only: frozenset[str] | None = None,
) -> Written:
    """Every document that the bill calls for; one whose content has not changed is not written again.

    ``findings``: institution_code, severity, state, findings: counts for the annual report. ``annual``: annual reports
    also of services that have not ended. ``only``: these institutions. Raises TemplateFaultError naming the template.
    """
    book = home.warehouse / "billing" / "documents.json"
    known: dict[str, str] = json.loads(book.read_text(encoding="utf-8")) if book.is_file() else {}
    templates = {name: WordTemplate(template_path(home, name)) for name in DOCUMENTS}
    marks = {name: hashlib.sha256(one.path.read_bytes()).hexdigest() for name, one in templates.items()}
    particulars = Particulars(cat, registry, bill, findings)
    wanted: dict[str, str] = {}
    fresh: list[Path] = []
    for order in bill.orders:
        for line in order.lines:
            if only is not None and line.institution_code not in only:
                continue
            facts = line_facts(order, line, particulars)
            for name in _called_for(order, line, bill, facts, annual):
                path = _path(home, order, line, name, facts)
                place = path.relative_to(home.published).as_posix()
                wanted[place] = _digest(marks[name], facts)
                if known.get(place) != wanted[place] or not path.is_file():
                    with replace_file(path) as target:
                        target.write_bytes(templates[name].fill(facts))
                    fresh.append(path)
    removed = _remove_passed(home, known, wanted, only)
    kept = {place: told for place, told in known.items() if (home.published / place).is_file()}
    with replace_file(book) as target:
        target.write_text(json.dumps({**kept, **wanted}, ensure_ascii=False, indent=0), encoding="utf-8")
    return Written(tuple(fresh), tuple(home.published / place for place in wanted), removed)


def template_path(home: Home, name: str) -> Path:
    """The clerk's own template of that name, else the one that comes with the program."""
    own = home.templates / f"{name}.docx"
    return own if own.is_file() else TEMPLATES / f"{name}.docx"


def lay_out_templates(home: Home) -> list[Path]:
    """Copy the templates to where a clerk may edit them; one that is there already stays as it is."""
    laid = []
    for name in DOCUMENTS:
        target = home.templates / f"{name}.docx"
        if not target.exists():
            with replace_file(target) as aside:
                aside.write_bytes((TEMPLATES / f"{name}.docx").read_bytes())
            laid.append(target)
    return laid


def _called_for(order: Order, line: OrderLine, bill: Bill, facts: Mapping[str, Any], annual: bool) -> Iterator[str]:
    """Which documents a line calls for on the day of the bill."""
    state = facts["state"]
    has_bill = order.version(line, bill.snapshot) is not None
    if has_bill:
        yield STATEMENT
    if has_bill and state != "draft" and facts["balance"] > 0:
        yield NOTICE
    if order.settled(bill.snapshot):
        yield SHEET
    if order.settled(bill.snapshot) and state in ("expiring", "expired"):
        yield RENEWAL
    if facts["用量"] and (annual or bill.snapshot >= line.service_to):
        yield REPORT


def _path(home: Home, order: Order, line: OrderLine, name: str, facts: Mapping[str, Any]) -> Path:
    """Statements keep their version in the name: a corrected one lies beside the one before it."""
    parts = [order.order_no]
    if sum(one.institution_code == line.institution_code for one in order.lines) > 1:
        parts.append("-".join(str(part) for part in line.cell[1:]))
    parts.append(name)
    if name == STATEMENT:
        parts.append(f"第{facts['版次']}版")
    return home.published / line.institution_code / PLACE / safe_name("_".join(parts) + ".docx")


def safe_name(name: str) -> str:
    """A file name any system takes: order numbers may hold a slash."""
    return _UNSAFE.sub("_", name)


def _digest(template: str, facts: Mapping[str, Any]) -> str:
    told = {key: value for key, value in facts.items() if key != _DATED}
    return hashlib.sha256(f"{template} {json.dumps(told, sort_keys=True, default=_plain)}".encode()).hexdigest()


def _plain(value: Any) -> str:
    if isinstance(value, (Decimal, date)):
        return str(value)
    raise TypeError(type(value).__name__)


def _remove_passed(
    home: Home, known: Mapping[str, str], wanted: Mapping[str, str], only: frozenset[str] | None
) -> tuple[Path, ...]:
    """Notices of what has been done since: a payment notice left lying would be paid twice."""
    removed = []
    for place in known.keys() - wanted.keys():
        institution, name = place.split("/", 1)[0], Path(place).stem
        if (only is None or institution in only) and name.endswith(_PASSING):
            for path in ((home.published / place), (home.published / place).with_suffix(".pdf")):
                if path.is_file():
                    path.unlink()
                    removed.append(path)
    return tuple(sorted(removed))


def seller_folder(home: Home) -> Path:
    """What is the seller's alone."""
    return home.published / PLACE
