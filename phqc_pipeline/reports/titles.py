"""Chinese titles for the ids that published tables hold."""

from __future__ import annotations

from phqc_pipeline.catalogue import Catalogue


def form_title(cat: Catalogue, form_id: str) -> str:
    """The Chinese title of a form or report, else its id."""
    return form_titles(cat).get(form_id, form_id)


def form_titles(cat: Catalogue) -> dict[str, str]:
    """Every form's and report's title by its id, in the catalogue's order."""
    return {form.form_id: form.title for form in cat.forms.values()} | {
        report.report_id: report.title for report in cat.reports.values()
    }


def field_titles(cat: Catalogue) -> dict[str, str]:
    """``form_id.field`` and ``report_id.item`` → title."""
    return {f"{form.form_id}.{column.name}": column.title for form in cat.forms.values() for column in form.fields} | {
        f"{report.report_id}.{item.item}": item.title for report in cat.reports.values() for item in report.items
    }


def item_titles(cat: Catalogue) -> dict[tuple[str, str], str]:
    """(report_id, item) → title."""
    return {(report.report_id, item.item): item.title for report in cat.reports.values() for item in report.items}
