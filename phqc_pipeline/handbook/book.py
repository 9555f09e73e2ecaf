"""What the pages are made from: the catalogue with the questions that several pages ask of it.

Belongs here: which rule is on which form, which page is called what. Does not belong here: words on a page.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from phqc_pipeline.catalogue import Catalogue, CodeList, Form, Rule, RuleCheck
from phqc_pipeline.catalogue.explain import checks_of, form_title
from phqc_pipeline.catalogue.model import DIMENSIONS, EVERY_FORM, EVERY_PERSON_FORM, SEVERITIES
from phqc_pipeline.catalogue.notes import Notes
from phqc_pipeline.handbook import markup as md

FORMS, DIMENSIONS_PAGE, SEVERITIES_PAGE = "forms/index", "dimensions/index", "severities/index"
RULES, PARAMETERS, CODES, REPORTS = "rules/index", "parameters", "codes/index", "reports/index"
ENVELOPE, DERIVED, RULINGS = "forms/envelope", "derived", "rulings"

_CLAUSE = re.compile(r"(?<![\w.])0a\.(\d+)")


@dataclass(frozen=True, eq=False)
class Book:
    """The catalogue as the handbook tells it. ``models``: dbt model → its SQL; ``rulings``: the page's Markdown."""

    catalogue: Catalogue
    notes: Notes
    models: Mapping[str, str] = field(default_factory=dict)
    rulings: str = ""

    @cached_property
    def versions(self) -> dict[str, list[Rule]]:
        """Rule number → its versions in the catalogue's order."""
        found: dict[str, list[Rule]] = defaultdict(list)
        for rule in self.catalogue.rules:
            found[rule.rule_id].append(rule)
        return dict(found)

    @cached_property
    def latest(self) -> list[Rule]:
        """The last version of every rule, by number."""
        return [max(found, key=lambda rule: rule.version) for _, found in sorted(self.versions.items())]

    @cached_property
    def _checks(self) -> dict[tuple[str, int], list[RuleCheck]]:
        return {rule.key: checks_of(self.catalogue, rule) for rule in self.catalogue.rules}

    def checks(self, rule: Rule) -> list[RuleCheck]:
        return self._checks[rule.key]

    @cached_property
    def suppresses(self) -> dict[str, list[str]]:
        """Rule number → the rules that are not reported beside it."""
        found: dict[str, list[str]] = defaultdict(list)
        for rule in self.latest:
            for other in rule.suppressed_by:
                found[other].append(rule.rule_id)
        return found

    def is_generic(self, rule: Rule) -> bool:
        """Whether a rule is written for any form that has the columns it reads."""
        return rule.forms in ((EVERY_FORM,), (EVERY_PERSON_FORM,))

    def touches(self, rule: Rule) -> list[str]:
        """The forms and reports that a rule is at home on or reads, the home first."""
        return list(dict.fromkeys([*rule.form_ids, *rule.reads]))

    def rules_on(self, form_id: str) -> list[Rule]:
        """Every rule that judges or reads a form or report."""
        return self._rules_by_form.get(form_id, [])

    @cached_property
    def _rules_by_form(self) -> dict[str, list[Rule]]:
        found: dict[str, list[Rule]] = defaultdict(list)
        for rule in self.latest:
            for form_id in self.touches(rule):
                found[form_id].append(rule)
        return found

    @cached_property
    def blaming(self) -> dict[tuple[str, str], list[str]]:
        """(form, field) → the rules whose finding stands on that field; per-field rules are left out."""
        found: dict[tuple[str, str], list[str]] = defaultdict(list)
        for rule in self.latest:
            if rule.field and not rule.per_field:
                for form_id in rule.form_ids:
                    found[form_id, rule.field].append(rule.rule_id)
        return found

    def link_rule(self, rule_id: str, here: str, said: str | None = None) -> str:
        """A link to a rule's page; an unknown number stays text."""
        shown = md.text(said or rule_id)
        return md.link(shown, rule_page(rule_id), here) if rule_id in self.versions else shown

    def link_form(self, form_id: str, here: str) -> str:
        """A link to a form's or report's page by its title."""
        title = md.text(form_title(self.catalogue, form_id))
        if form_id in self.catalogue.forms:
            return md.link(title, form_page(form_id), here)
        return md.link(title, report_page(form_id), here) if form_id in self.catalogue.reports else title

    def refer(self, said: str, here: str) -> str:
        """``said`` as text, with the clauses of the rulings it names (0a.7) as links."""
        if not self.rulings:
            return md.text(said)
        return _CLAUSE.sub(lambda found: md.link(f"总则 {found.group(1)}", RULINGS, here), md.text(said))

    def per_field_rules(self, has: str, here: str) -> str:
        """Links to the per-field rules that judge what a field ``has`` (hard, soft …); empty without any."""
        found = [rule for rule in self.latest if rule.per_field and rule.per_field.has == has]
        return "、".join(self.link_rule(rule.rule_id, here) for rule in found)

    def link_codes(self, list_id: str, here: str) -> str:
        return md.link(md.text(list_id), codes_page(self.catalogue.codes[list_id]), here)

    def scope(self, rule: Rule, here: str) -> str:
        """The forms of a rule as links; a generic rule's are counted."""
        if self.is_generic(rule):
            count = len(rule.form_ids)
            every = count == len(self.catalogue.forms)
            return md.link("全部表单" if every else f"{count} 张表单", FORMS, here)
        return self.listed_forms(rule.form_ids, here)

    def listed_forms(self, form_ids: Iterable[str], here: str) -> str:
        return "、".join(self.link_form(form_id, here) for form_id in form_ids)

    def rule_table(self, rules: Sequence[Rule], here: str, *, forms: bool = True) -> str:
        """Rules as a table of links."""
        header = ["编号", "查什么", "级别", "维度", *(["表单"] if forms else []), "核"]
        return md.table(header, [self._rule_row(rule, here, forms) for rule in rules])

    def _rule_row(self, rule: Rule, here: str, forms: bool) -> list[str]:
        return [
            self.link_rule(rule.rule_id, here),
            md.text(rule.title),
            severity_badge(rule.severity),
            md.text(rule.dimension),
            *([self.scope(rule, here)] if forms else []),
            "已核" if rule.verified else "待核",
        ]


def severity_badge(severity: str) -> str:
    """The severity as a coloured word."""
    return md.badge(severity, f"level-{SEVERITIES.index(severity)}")


def rule_page(rule_id: str) -> str:
    return f"rules/{rule_id}"


def form_page(form_id: str) -> str:
    return f"forms/{form_id}"


def report_page(report_id: str) -> str:
    return f"reports/{report_id}"


def codes_page(code_list: CodeList) -> str:
    return f"codes/{code_list.list_id}"


def dimension_page(dimension: str) -> str:
    return f"dimensions/{DIMENSIONS.index(dimension) + 1}"


def severity_page(severity: str) -> str:
    return f"severities/{SEVERITIES.index(severity) + 1}"


def own_forms(catalogue: Catalogue) -> list[Form]:
    """The forms, persons' first, each group in the catalogue's order."""
    return sorted(catalogue.forms.values(), key=lambda form: form.subject != "person")
