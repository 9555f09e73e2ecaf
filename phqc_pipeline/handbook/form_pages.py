"""Pages of forms, code lists and reports: fields with types, conditions and ranges, and the rules on them.

Belongs here: the dictionary as pages. Does not belong here: how conditions and bounds read (``catalogue.handbook``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from phqc_pipeline.catalogue import CodeList, Field, Form, Report, Rule
from phqc_pipeline.catalogue.explain import plain
from phqc_pipeline.catalogue.handbook import (
    ENVELOPE_SAID,
    LONGEST_LIST,
    SUBJECT_TITLES,
    bounds_said,
    code_list_users,
    envelope_columns,
    form_said,
    remarks,
    report_said,
    required_said,
    type_said,
)
from phqc_pipeline.catalogue.model import SEVERITIES, Code
from phqc_pipeline.handbook import markup as md
from phqc_pipeline.handbook.book import (
    CODES,
    ENVELOPE,
    FORMS,
    REPORTS,
    Book,
    codes_page,
    form_page,
    own_forms,
    report_page,
    severity_badge,
)

_FIELDS = (
    "中文表头",
    "英文列名",
    "类型",
    "单位",
    "必填",
    "硬范围",
    "软范围",
    "代码表",
    "这一格上的规则",
    "其他写法",
    "说明",
)


def form_pages(book: Book) -> dict[str, str]:
    """Page name → Markdown: every form, the envelope, and their index."""
    forms = own_forms(book.catalogue)
    pages = {form_page(form.form_id): _form(book, form) for form in forms}
    pages[ENVELOPE] = _envelope(book)
    pages[FORMS] = _form_index(book, forms)
    return pages


def code_pages(book: Book) -> dict[str, str]:
    """Page name → Markdown: every code list, and their index."""
    users = code_list_users(book.catalogue)
    lists = sorted(book.catalogue.codes.values(), key=lambda entry: entry.list_id)
    pages = {codes_page(one): _code_list(book, one, users.get(one.list_id, ())) for one in lists}
    rows = [
        (
            book.link_codes(one.list_id, CODES),
            md.text(one.title),
            str(len(one.codes)),
            "已核" if one.verified else "待核",
            str(len(users.get(one.list_id, ()))) if one.list_id in users else "供规则查用",
        )
        for one in lists
    ]
    said = "表单字段能填哪些代码，每个代码还可以怎么写；也放规则要查的小字典（降压药、虚号、历史区划……）。\n"
    table = md.table(("编号", "名称", "代码数", "核", "用它的字段数"), rows)
    pages[CODES] = md.page("代码表", said, table, orphan=False, searchable=False)
    return pages


def report_pages(book: Book) -> dict[str, str]:
    """Page name → Markdown: every report, and their index."""
    reports = list(book.catalogue.reports.values())
    pages = {report_page(one.report_id): _report(book, one) for one in reports}
    rows = [
        (
            book.link_form(one.report_id, REPORTS),
            md.code(one.report_id),
            str(len(one.items)),
            str(sum(item.recomputed for item in one.items)),
            str(len(book.rules_on(one.report_id))),
        )
        for one in reports
    ]
    said = "上报国家报表的各张报表：有哪些项，哪些由记录重新数出来与上报数并排。\n"
    table = md.table(("报表", "编号", "报表项", "由记录重算", "规则数"), rows)
    contents = md.contents([report_page(one.report_id) for one in reports], REPORTS) if reports else ""
    pages[REPORTS] = md.page("报表", said, table, contents, orphan=False, searchable=False)
    return pages


def _form_index(book: Book, forms: Sequence[Form]) -> str:
    rows = []
    for form in forms:
        rules = book.rules_on(form.form_id)
        own = [rule for rule in rules if not book.is_generic(rule)]
        counts = [str(sum(rule.severity == severity for rule in rules)) for severity in SEVERITIES]
        rows.append(
            (
                book.link_form(form.form_id, FORMS),
                SUBJECT_TITLES[form.subject],
                str(len(form.own_fields)),
                str(len(rules)),
                str(len(own)),
                *counts,
            )
        )
    header = ("表单", "对象", "自有字段", "规则", "其中专属", *(severity_badge(one) for one in SEVERITIES))
    said = "点表单名看它有哪些字段、哪些规则。每张表单另有一套公共的列，见"
    envelope = md.link("公共信封列", ENVELOPE, FORMS)
    pages = [*(form_page(form.form_id) for form in forms), ENVELOPE]
    return md.page(
        "按表单查",
        f"{said}{envelope}。“规则”是管这张表或读这张表的规则条数，“其中专属”不含各表通用的。\n",
        md.table(header, rows),
        md.contents(pages, FORMS),
        orphan=False,
        searchable=False,
    )


def _form(book: Book, form: Form) -> str:
    here = form_page(form.form_id)
    rules = book.rules_on(form.form_id)
    own = [rule for rule in rules if not book.is_generic(rule) and rule.carrier == "pandera"]
    cross = [rule for rule in rules if not book.is_generic(rule) and rule.carrier == "dbt"]
    generic = [rule for rule in rules if book.is_generic(rule)]
    parts = [md.bullets(form_said(form, md.text, md.code))]
    for title, group in (("本表专属的规则", own), ("跨记录、跨表的规则", cross)):
        if group:
            parts.append(f"## {title}（{len(group)} 条）\n\n{book.rule_table(group, here, forms=False)}")
    parts.append(f"## 字段\n\n{_reading(book, here)}\n{_fields(book, form, form.own_fields, here)}")
    parts.append(f"这张表还带{md.link('公共信封列', ENVELOPE, here)}。\n")
    if generic:
        parts.append(f"## 各表通用的规则（{len(generic)} 条）\n\n{_listed(book, generic, here)}")
    return md.page(md.text(form.title), *parts, orphan=False)


def _listed(book: Book, rules: Sequence[Rule], here: str) -> str:
    """Rules as one line a severity: a form has some fifty that are on every other form too."""
    lines = []
    for severity in SEVERITIES:
        named = [
            book.link_rule(rule.rule_id, here, f"{rule.rule_id} {rule.title}")
            for rule in rules
            if rule.severity == severity
        ]
        if named:
            lines.append(f"{severity_badge(severity)}　{'；'.join(named)}")
    return md.bullets(lines)


def _envelope(book: Book) -> str:
    rows = [_field_row(book, form, column, ENVELOPE) for form, column in envelope_columns(book.catalogue)]
    return md.page("公共信封列", f"{ENVELOPE_SAID}\n", _reading(book, ENVELOPE), md.table(_FIELDS, rows), orphan=False)


def _reading(book: Book, here: str) -> str:
    """How the table of fields is to be read."""
    hard, soft = book.per_field_rules("hard", here), book.per_field_rules("soft", here)
    return (
        f"**硬范围**之外不可能{f'，报 {hard}' if hard else ''}，这一格不再参与别的判断；"
        f"**软范围**之外少见{f'，报 {soft}' if soft else ''}，数值照常使用；`—` 是没有这一端。"
        "**这一格上的规则**是问题会记在这一格的规则；必填、可识别、代码、范围、小数位等通用规则按字段展开，不在此列。\n"
    )


def _fields(book: Book, form: Form, columns: Sequence[Field], here: str) -> str:
    return md.table(_FIELDS, [_field_row(book, form, column, here) for column in columns])


def _field_row(book: Book, form: Form, column: Field, here: str) -> list[str]:
    blaming = book.blaming.get((form.form_id, column.name), [])
    return [
        md.text(column.title),
        md.code(column.name),
        type_said(column),
        md.text(column.unit),
        md.text(required_said(book.catalogue, form, column)),
        bounds_said(column.hard),
        bounds_said(column.soft),
        book.link_codes(column.codes, here) if column.codes else "",
        " ".join(book.link_rule(rule_id, here) for rule_id in blaming),
        md.text("、".join(column.synonyms)),
        md.text("；".join(remarks(form, column))),
    ]


def _code_list(book: Book, code_list: CodeList, users: Sequence[str]) -> str:
    here = codes_page(code_list)
    checked = "已与原件核对" if code_list.verified else "待核"
    said = f"出处：{md.text(code_list.source or '—')}（{checked}）。\n"
    used = f"用于：{'、'.join(_user(book, name, here) for name in users)}。\n" if users else "供规则查用。\n"
    title = f"{md.text(code_list.list_id)} {md.text(code_list.title)}"
    if len(code_list.codes) > LONGEST_LIST:
        much = f"共 {len(code_list.codes)} 个代码，见规则目录的 {md.code(code_list.place.file)}。\n"
        return md.page(title, said, used, much)
    kinds = list(dict.fromkeys(name for entry in code_list.codes for name in entry.attrs))
    dated = any(entry.valid_from or entry.valid_to for entry in code_list.codes)
    header = ["代码", "名称", "其他写法", *(["起止"] if dated else []), *map(md.code, kinds)]
    rows = [_code_row(entry, kinds, dated) for entry in code_list.codes]
    return md.page(title, said, used, md.table(header, rows))


def _user(book: Book, name: str, here: str) -> str:
    """``form.field`` with a link to the form."""
    form_id, _, column = name.partition(".")
    form = book.catalogue.forms.get(form_id)
    if form is None:
        return md.link(md.text(name), ENVELOPE, here)
    return f"{book.link_form(form_id, here)}·{md.text(form.field(column).title)}"


def _code_row(entry: Code, kinds: Sequence[str], dated: bool) -> list[str]:
    span = f"{entry.valid_from or ''}～{entry.valid_to or ''}" if entry.valid_from or entry.valid_to else ""
    attributes = [md.text(_said(entry.attrs.get(name))) for name in kinds]
    spellings = md.text("、".join(entry.synonyms))
    return [md.code(entry.code), md.text(entry.name), spellings, *([span] if dated else []), *attributes]


def _said(value: Any) -> str:
    return "" if value is None else plain(value)


def _report(book: Book, report: Report) -> str:
    here = report_page(report.report_id)
    rows = [
        (
            md.text(item.title),
            md.code(item.item),
            md.text(item.unit),
            md.text(item.nature),
            "是" if item.recomputed else "否",
            md.text(item.definition),
            md.text("、".join(item.synonyms)),
        )
        for item in report.items
    ]
    said = md.bullets(report_said(report, md.text, md.code))
    rules = book.rules_on(report.report_id)
    header = ("报表项", "英文项名", "单位", "性质", "由记录重算", "口径", "其他写法")
    listed = f"## 规则（{len(rules)} 条）\n\n{book.rule_table(rules, here, forms=False)}" if rules else ""
    return md.page(md.text(report.title), said, listed, f"## 报表项\n\n{md.table(header, rows)}", orphan=False)
