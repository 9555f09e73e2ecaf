"""What a run of billing came to, for the one who started it.

Belongs here: sentences and totals. Does not belong here: working them out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

import polars as pl

from phqc_pipeline.billing.money import amount_in_words
from phqc_pipeline.billing.office import Issued
from phqc_pipeline.billing.orders import STATES
from phqc_pipeline.extracts.registry_files import RowProblem, problem_lines

_SHOWN = 10


def bill_summary(issued: Issued, problems: Sequence[RowProblem] = ()) -> str:
    """A few lines of text: orders by state, totals, what is due, what is wrong in the registry (``problems``), where
    the files are. Nobody's personal data."""
    tables = issued.bill.tables
    orders, calendar = tables["order"], tables["calendar"]
    told = [f"截至 {issued.bill.snapshot.isoformat()} 的计费：订单 {orders['order_no'].n_unique()} 份，"
            f"机构 {orders['institution_code'].n_unique()} 家"]  # fmt: skip
    if orders.is_empty():
        told.append("  没有订单（order.csv），不计费")
    else:
        told += _money(tables)
    unpriced = tables["charge"].filter(pl.col("status") != "charged")
    for order_no, code, reason in unpriced.select("order_no", "institution_code", "reason").head(_SHOWN).iter_rows():
        told.append(f"  未能计费 {order_no} {code}：{reason}")
    pressing = calendar.filter(pl.col("status").is_in(["due", "overdue"])).select("due_on", "what", "institution_code")
    told += [
        f"  到期 {day.isoformat()}：{what}" + (f"（{code}）" if code else "")
        for day, what, code in pressing.head(_SHOWN).iter_rows()
    ]
    more = max(0, unpriced.height - _SHOWN) + max(0, pressing.height - _SHOWN)
    if more:
        told.append(f"  另有 {more} 项，见对账表")
    told.append(f"  文书：新写 {len(issued.documents.fresh)} 份，共 {len(issued.documents.all)} 份"
                + (f"，PDF {len(issued.pdfs)} 份" if issued.pdfs else ""))  # fmt: skip
    if issued.no_pdf:
        told.append(f"  {issued.no_pdf}")
    told += problem_lines(problems)
    told.append(f"  对账表：{issued.workbook}")
    return "\n".join(told)


def _money(tables: Mapping[str, pl.DataFrame]) -> list[str]:
    """Orders by state, what they come to, what is paid of it, what corrections changed."""
    orders, changes = tables["order"], tables["adjustment"]
    states = dict(orders.group_by("state").len().iter_rows())
    owed, paid, left = (Decimal(orders[name].sum() or 0) for name in ("amount", "paid_share", "balance"))
    told = [
        "  状态：" + "，".join(f"{title} {states[name]}" for name, title in STATES.items() if name in states),
        f"  应付 ¥{owed:,.2f}（{amount_in_words(owed)}），已付 ¥{paid:,.2f}，未付 ¥{left:,.2f}",
    ]
    drafts = orders.filter(pl.col("state") == "draft")
    if drafts.height:
        offered = Decimal(drafts["draft_amount"].sum() or 0)
        told.append(f"  未签订 {drafts.height} 行不计入应付，签订后应付 ¥{offered:,.2f}")
    if changes.height:
        told.append(f"  报表更正 {changes.height} 次，合计 {Decimal(changes['adjustment'].sum()):+,.2f} 元")
    return told
