"""The report page (质控报告): one self-contained HTML file that opens without internet, on a telephone, and prints."""

from __future__ import annotations

from pathlib import Path

import jinja2

from phqc_pipeline.reports.facts import InstitutionFacts
from phqc_pipeline.reports.sections import cards, sections

PAGE_NAME = "质控报告.html"
TEMPLATES = jinja2.Environment(
    loader=jinja2.PackageLoader("phqc_pipeline.reports"),
    autoescape=jinja2.select_autoescape(["html"]),
    trim_blocks=True,
    lstrip_blocks=True,
    undefined=jinja2.StrictUndefined,
)


def write_page(path: Path, facts: InstitutionFacts, workbook_name: str) -> None:
    """Write the page of an institution, or of all, to ``path``. It holds no resident's name or number."""
    html = TEMPLATES.get_template("report.html").render(
        facts=facts, workbook_name=workbook_name, cards=cards(facts), sections=sections(facts)
    )
    path.write_text(html, encoding="utf-8")
