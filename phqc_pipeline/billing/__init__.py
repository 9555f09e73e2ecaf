"""Billing: orders, who may be judged, what each order owes, what is due when, and the documents that say so.

Belongs here: money (Decimal throughout), amounts in words, working days and service hours, orders and their states,
charges with their evidence and versions, usage, due dates, documents.
Does not belong here: reading order files (``extracts.registry``), recomputing figures from records (dbt).
"""

from phqc_pipeline.billing.bill import Bill, make_bill
from phqc_pipeline.billing.entitlement import entitled
from phqc_pipeline.billing.evidence import read_report_history
from phqc_pipeline.billing.office import Issued, bill_of, issue
from phqc_pipeline.billing.orders import Order, read_orders
from phqc_pipeline.billing.usage import read_usage

__all__ = [
    "Bill",
    "Issued",
    "Order",
    "bill_of",
    "entitled",
    "issue",
    "make_bill",
    "read_orders",
    "read_report_history",
    "read_usage",
]
