"""Billing: what each order owes, from the cell of the report it is based on.

Belongs here: money (Decimal throughout), amounts in words, working days, charges with their evidence.
Does not belong here: reading order files (``extracts.registry``), recomputing figures from records (dbt).
"""

from phqc_pipeline.billing.charges import CHARGE_SCHEMA, compute_charges
from phqc_pipeline.billing.entitlement import entitled
from phqc_pipeline.billing.evidence import read_report_history
from phqc_pipeline.billing.money import amount_in_words, round_amount
from phqc_pipeline.billing.orders import Order, read_orders
from phqc_pipeline.billing.working_days import CalendarUnknownError, add_working_days

__all__ = [
    "CHARGE_SCHEMA",
    "CalendarUnknownError",
    "Order",
    "add_working_days",
    "amount_in_words",
    "compute_charges",
    "entitled",
    "read_orders",
    "read_report_history",
    "round_amount",
]
