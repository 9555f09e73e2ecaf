"""The report page of an institution (质控报告): one self-contained HTML file that opens without internet and prints."""

from __future__ import annotations

from pathlib import Path

import jinja2

from phqc_pipeline.catalogue import Catalogue
from phqc_pipeline.reports.facts import InstitutionFacts
from phqc_pipeline.reports.workbook import form_title

_TEMPLATES = jinja2.Environment(
    loader=jinja2.PackageLoader("phqc_pipeline.reports"),
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
    undefined=jinja2.StrictUndefined,
)

FILE_STATUS_TITLES = {"accepted": "已接收", "quarantined": "已隔离", "superseded": "已被替换"}


def write_page(path: Path, cat: Catalogue, facts: InstitutionFacts, workbook_name: str) -> None:
    """Write the institution's page to ``path``. It holds counts only, no resident's personal data."""
    items = {(report.report_id, item.item): item.title for report in cat.reports.values() for item in report.items}
    html = _TEMPLATES.get_template("institution.html").render(
        facts=facts,
        workbook_name=workbook_name,
        form_title=lambda form_id: form_title(cat, form_id),
        item_title=lambda report_id, item: items.get((report_id, item), item),
        file_status=FILE_STATUS_TITLES,
        # The longest bar is the largest figure; a page without findings has no bars.
        most=max(facts.by_dimension["findings"].to_list(), default=1) or 1,
    )
    path.write_text(html, encoding="utf-8")
