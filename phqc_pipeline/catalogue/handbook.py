"""The form dictionary as a page for people: ``docs/表单字典.md``, generated from the catalogue.

Belongs here: how forms, code lists and reports read as Markdown, and how a field's type, condition and bounds are
worded (shared with the rule handbook, ``phqc_pipeline.handbook``). Does not belong here: where the page is written,
the tables of the warehouse (``scripts/write_docs.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from phqc_pipeline.catalogue.expressions import parse_expression, to_chinese
from phqc_pipeline.catalogue.model import Bounds, Catalogue, Code, CodeList, Field, Form, Report

#: A longer list (counties, regions) is named with its size; nobody reads three thousand lines of a page.
LONGEST_LIST = 150

TYPE_TITLES: Mapping[str, str] = {
    "text": "文字，{length} 字",
    "int": "整数",
    "dec": "小数，{scale} 位",
    "date": "日期",
    "ym": "年月",
    "dt": "日期时间",
    "code": "单选",
    "multi": "多选",
}
PERSONAL_TITLES: Mapping[str, str] = {"name": "姓名", "id_number": "证号", "phone": "电话", "address": "住址"}

SUBJECT_TITLES: Mapping[str, str] = {"person": "居民", "institution": "机构"}
ENVELOPE_SAID = "每张表单都有这些列；表单自己写了同名字段的，以表单的为准。"
_FIELD_HEADER = ("英文列名", "中文表头", "其他写法", "类型", "单位", "必填", "硬范围", "软范围", "代码表", "说明")

_OPENING = """\
# 表单字典

每张表单有哪些字段、文件里的表头可以怎么写、什么时候必填、合理范围是多少、代码怎么写。
本页由 `rules/forms/`、`rules/codes/`、`rules/reports/` 生成，请勿手改；要改字段或代码，改那里的 YAML，
见 [如何新增一张表单](如何新增一张表单.md)。

怎么读：

- **其他写法**：交付文件的表头写英文列名、中文表头或任何一种其他写法都认得；比较时不分大小写、全角半角和
  空格，表头后面可以带括号里的单位，如 `收缩压(mmHg)`。
- **类型**：`单选` 填一个代码；`多选` 可填几个，用 `,` `，` `;` `；` `|` `、` 隔开。代码列也可以写代码的
  名称或其他写法。
- **必填**：`是`、`否`，或写明何时必填。
- **硬范围**：超出即不可能，报 COM-F-014，这一格不再参与别的判断。**软范围**：超出为少见，报 COM-F-015
  请核实，数值照常使用。两端都算在内；`—` 是没有这一端。日期先后和带条件的范围写成规则，不在这两列里。
- **说明**：单独选的代码（如“无”），这一格属于哪个“其他”选项，是不是个人信息（任何提示和日志里都遮盖）。
  “原注”是字典里写不成必填条件或常数范围的要求，由各自的规则管；其中 `Y` 是必填，`C:` 是有条件必填，
  `PK`、`FK` 是主键、外键。
"""


def dictionary_page(cat: Catalogue) -> str:
    """The whole page, ending in a newline."""
    parts = [_OPENING, _contents(cat), _envelope(cat)]
    parts += [_form(cat, form) for form in cat.forms.values()]
    parts += [_report(report) for report in cat.reports.values()]
    parts.append(_code_lists(cat))
    return "\n".join(parts).rstrip() + "\n"


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; a pipe or line end inside a cell cannot break it. Ends in a newline."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(_cell(text) for text in line) + " |" for line in lines) + "\n"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _contents(cat: Catalogue) -> str:
    rows = [
        (
            f"[`{form.form_id}`](#{form.form_id})",
            form.title,
            SUBJECT_TITLES[form.subject],
            f"{form.field(form.service_date).title} `{form.service_date}`",
            str(len(form.own_fields)),
            form.frequency or "—",
        )
        for form in cat.forms.values()
    ]
    table = markdown_table(("表单", "名称", "对象", "服务日期列", "自有字段", "频次与时机"), rows)
    return f"## 有哪些表单\n\n{table}\n每张表单还带 [公共信封列](#envelope)。代码表在 [页末](#codes)。\n"


def _envelope(cat: Catalogue) -> str:
    rows = [_field_row(cat, form, column) for form, column in envelope_columns(cat)]
    return f'<a id="envelope"></a>\n\n## 公共信封列\n\n{ENVELOPE_SAID}\n\n' + markdown_table(_FIELD_HEADER, rows)


def envelope_columns(cat: Catalogue) -> list[tuple[Form, Field]]:
    """The envelope's columns, each from a form that does not word it anew as far as there is one."""
    shown: dict[str, tuple[Form, Field]] = {}
    for form in cat.forms.values():
        for column in form.fields:
            if column.envelope and column.name not in form.own_names:
                shown.setdefault(column.name, (form, column))
    return list(shown.values())


def _form(cat: Catalogue, form: Form) -> str:
    rows = [_field_row(cat, form, column) for column in form.own_fields]
    return (
        f'<a id="{form.form_id}"></a>\n\n## {form.title} `{form.form_id}`\n\n'
        + "\n".join(f"- {fact}" for fact in form_said(form))
        + "\n\n"
        + markdown_table(_FIELD_HEADER, rows)
    )


def _as_code(text: str) -> str:
    return f"`{text}`"


def form_said(form: Form, text: Callable[[str], str] = str, code: Callable[[str], str] = _as_code) -> list[str]:
    """What is to be known of a form, one Chinese sentence a fact. ``text``, ``code``: how the page writes words and
    names."""
    service = form.field(form.service_date)
    facts = [
        _delivered_as(form, text, code),
        f"对象是{SUBJECT_TITLES[form.subject]}；服务日期是“{text(service.title)}” {code(form.service_date)}。",
    ]
    if form.stage:
        named = "、".join(f"{text(form.field(name).title)} {code(name)}" for name in form.stage)
        facts.append(f"同一人同一天可以有几条，用 {named} 区分。")
    if form.frequency:
        facts.append(f"频次与时机：{text(form.frequency)}。")
    if form.source:
        facts.append(f"出处：{text(form.source)}。")
    if form.key:
        facts.append(f"键：{code(form.key)}。")
    return facts


def report_said(report: Report, text: Callable[[str], str] = str, code: Callable[[str], str] = _as_code) -> list[str]:
    """What is to be known of a report's extract, one Chinese sentence a fact."""
    period = f"期间（{code('Y')} 全年，{code('Q1')}～{code('Q4')} 季，{code('M01')}～{code('M12')} 月）"
    told = {"institution_code": "机构编码", "institution_name": "机构名称", "year": "年度", "period": period}
    columns = "、".join(f"{code(name)} {title}" for name, title in told.items())
    return [
        _delivered_as(report, text, code),
        f"一家机构一期一行；另有 {columns}四列。",
    ]


def _delivered_as(one: Form | Report, text: Callable[[str], str], code: Callable[[str], str]) -> str:
    return f"交付文件名以 {code(one.names[0])} 或中文名开头：{text('、'.join(one.names[1:]))}。"


def _field_row(cat: Catalogue, form: Form, column: Field) -> tuple[str, ...]:
    codes = f"[{column.codes}](#{column.codes.lower()})" if column.codes else ""
    return (
        f"`{column.name}`",
        column.title,
        "、".join(column.synonyms),
        type_said(column),
        column.unit,
        required_said(cat, form, column),
        bounds_said(column.hard),
        bounds_said(column.soft),
        codes,
        "；".join(remarks(form, column)),
    )


def type_said(column: Field) -> str:
    """A field's type in Chinese: ``文字，50 字``, ``小数，1 位``."""
    return TYPE_TITLES[column.kind].format(length=column.length, scale=column.scale)


def required_said(cat: Catalogue, form: Form, column: Field) -> str:
    """Whether a field must be filled, or when, in Chinese."""
    if column.required == "always":
        return "是"
    if column.required == "when" and column.required_when:
        return f"{to_chinese(parse_expression(column.required_when, form, cat), cat)}时"
    return f"否（{column.required_note}时应填，不逐条判）" if column.required_note else "否"


def bounds_said(bounds: Bounds | None) -> str:
    """``60～280``; an open end is ``—``."""
    if bounds is None:
        return ""
    low, high = (_number(end) for end in bounds)
    return f"{low}～{high}"


def _number(value: float | None) -> str:
    return "—" if value is None else f"{value:g}" if abs(value) < 1e6 else f"{value:.0f}"


def remarks(form: Form, column: Field) -> list[str]:
    """What else is to be known of a field: which 其他 it belongs to, codes that stand alone, personal data."""
    said = []
    if column.other_of is not None:
        said.append(f"“{form.field(column.other_of.field).title}”选了 {column.other_of.code} 时填这里")
    if column.exclusive:
        said.append(f"{'、'.join(column.exclusive)} 只能单独选")
    if column.text_values:
        said.append(f"可写文字：{'、'.join(column.text_values)}")
    if column.personal:
        said.append(f"个人信息（{PERSONAL_TITLES[column.personal]}）")
    if column.absent_ok:
        said.append("文件里没有这一列时按空处理")
    if column.extension:
        said.append("平台扩展")
    if column.note:
        said.append(f"原注：{column.note}")
    return said


def _report(report: Report) -> str:
    rows = [
        (
            f"`{item.item}`",
            item.title,
            "、".join(item.synonyms),
            item.unit,
            item.nature,
            "是" if item.recomputed else "否",
            item.definition,
        )
        for item in report.items
    ]
    header = ("报表项", "中文名", "其他写法", "单位", "性质", "由记录重算", "口径")
    return (
        f'<a id="{report.report_id}"></a>\n\n## 报表：{report.title} `{report.report_id}`\n\n'
        + "\n".join(f"- {fact}" for fact in report_said(report))
        + "\n\n"
        + markdown_table(header, rows)
    )


def _code_lists(cat: Catalogue) -> str:
    users = code_list_users(cat)
    parts = ['<a id="codes"></a>\n\n## 代码表\n']
    for code_list in sorted(cat.codes.values(), key=lambda entry: entry.list_id):
        parts.append(_code_list(code_list, users.get(code_list.list_id, ())))
    return "\n".join(parts)


def code_list_users(cat: Catalogue) -> dict[str, list[str]]:
    """Code list → the fields that use it, ``form.field``, those of the envelope once."""
    found: dict[str, dict[str, None]] = {}
    for form in cat.forms.values():
        for column in form.fields:
            if column.codes:
                own = column.name in form.own_names
                named = f"{form.form_id}.{column.name}" if own else f"各表 {column.name}"
                found.setdefault(column.codes, {})[named] = None
    return {list_id: list(names) for list_id, names in found.items()}


def _code_list(code_list: CodeList, users: Sequence[str]) -> str:
    checked = "已与原件核对" if code_list.verified else "待核"
    used = f"用于 {'、'.join(f'`{name}`' for name in users)}。" if users else "供规则查用。"
    head = (
        f'<a id="{code_list.list_id.lower()}"></a>\n\n### {code_list.list_id} {code_list.title}\n\n'
        f"出处：{code_list.source or '—'}（{checked}）。{used}\n\n"
    )
    if len(code_list.codes) > LONGEST_LIST:
        return f"{head}共 {len(code_list.codes)} 个代码，见 `rules/{code_list.place.file}`。\n"
    kinds = list(dict.fromkeys(name for entry in code_list.codes for name in entry.attrs))
    dated = any(entry.valid_from or entry.valid_to for entry in code_list.codes)
    header = ["代码", "名称", "其他写法", *(["起止"] if dated else []), *kinds]
    return head + markdown_table(header, [_code_row(entry, kinds, dated) for entry in code_list.codes])


def _code_row(entry: Code, kinds: Sequence[str], dated: bool) -> list[str]:
    span = [f"{entry.valid_from or ''}～{entry.valid_to or ''}" if entry.valid_from or entry.valid_to else ""]
    attributes = [_plain(entry.attrs.get(name)) for name in kinds]
    return [f"`{entry.code}`", entry.name, "、".join(entry.synonyms), *(span if dated else []), *attributes]


def _plain(value: Any) -> str:
    return "" if value is None else str(value)
