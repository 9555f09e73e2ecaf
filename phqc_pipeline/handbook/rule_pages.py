"""The page of one rule: what it asks, of whom, why, how to put it right, examples, SQL, what it rests on.

Belongs here: one rule. Does not belong here: lists of rules (``index_pages``).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from string import Formatter
from typing import Any

from phqc_pipeline.catalogue import Field, Form, Rule, RuleCheck
from phqc_pipeline.catalogue.explain import (
    GRAIN_TITLES,
    as_written,
    checked_said,
    derived_named,
    example_said,
    fields_by_form,
    form_title,
    one_line,
    plain,
    sample_check,
    sql_of,
    validity_said,
)
from phqc_pipeline.catalogue.expressions import Expression, to_chinese
from phqc_pipeline.catalogue.expressions.nodes import CONTEXT_NAMES, Call
from phqc_pipeline.catalogue.model import Example
from phqc_pipeline.handbook import markup as md
from phqc_pipeline.handbook.book import (
    PARAMETERS,
    RULINGS,
    Book,
    dimension_page,
    rule_page,
    severity_badge,
    severity_page,
)

_MOST_COLUMNS = 7  # examples with more fields than this are told as sentences, not as a table
_ALWAYS = "真"  # how a condition that is constantly TRUE is rendered
_FINDING_TITLES = {
    "observed": "现值",
    "expected": "应为",
    "period": "统计期",
    "title": "字段名",
    "value": "填的值",
    "hard_min": "硬范围下限",
    "hard_max": "硬范围上限",
    "soft_min": "软范围下限",
    "soft_max": "软范围上限",
    "scale": "要求的小数位数",
    "other_code": "“其他”的代码",
    "exclusive_codes": "只能单独选的代码",
}
_EXAMPLE_TITLES = {"form": "表单", "field": "字段"}
_CARRIED = {
    "pandera": "一条记录自己就能判断，由 Pandera 承担；夜里的运行器和 `schema.validate` 用同一个表达式。",
    "dbt": "要看多条记录、别的表单、登记资料或报表才能判断，由 dbt 测试承担；下面是模型的源码，阈值取自本页的参数。",
}


def rule_pages(book: Book) -> dict[str, str]:
    """Page name → Markdown, one a rule number."""
    return {rule_page(rule_id): _page(book, versions) for rule_id, versions in book.versions.items()}


def _page(book: Book, versions: Sequence[Rule]) -> str:
    latest = max(versions, key=lambda rule: rule.version)
    title = f"{md.text(latest.rule_id)} {md.text(latest.title)}"
    if len(versions) == 1:
        return md.page(title, *_version(book, latest, "##"))
    parts = [_versions(versions)]
    for rule in sorted(versions, key=lambda rule: -rule.version):
        parts += [f"## 第 {rule.version} 版　{md.text(validity_said(rule))}\n", *_version(book, rule, "###")]
    return md.page(title, *parts)


def _versions(versions: Sequence[Rule]) -> str:
    rows = [
        (f"第 {rule.version} 版", md.text(validity_said(rule)), severity_badge(rule.severity), md.text(rule.basis))
        for rule in sorted(versions, key=lambda rule: -rule.version)
    ]
    said = "这条规则有几个版本，记录按服务日期归各自的版本；人、机构的规则看统计期末。\n\n"
    return said + md.table(("版本", "适用期", "级别", "依据"), rows)


def _version(book: Book, rule: Rule, heading: str) -> list[str]:
    here = rule_page(rule.rule_id)
    checks = book.checks(rule)
    sections = (
        ("查什么", _what(book, rule, checks)),
        ("查谁：分母与分子", _whom(book, rule, checks, here)),
        ("为什么要紧", _why(book, rule, here)),
        ("怎样改正", _remedy(book, rule, checks)),
        ("参数", _parameters(rule, here)),
        ("样例", _examples(book, rule, checks)),
        ("按字段展开", _per_field(book, rule, checks, here)),
        ("判定怎么写", _judgement(book, rule, checks)),
        ("依据与版本", _grounds(book, rule, here)),
    )
    return [_badges(book, rule, here), *(f"{heading} {title}\n\n{said}" for title, said in sections if said)]


def _badges(book: Book, rule: Rule, here: str) -> str:
    severity = md.link(rule.severity, severity_page(rule.severity), here)
    said = [
        md.badge(severity, severity_badge(rule.severity).partition("{.")[2].rstrip("}")),
        md.link(md.text(rule.dimension), dimension_page(rule.dimension), here),
        book.scope(rule, here),
        md.badge("已核", "checked") if rule.verified else md.badge("待核", "unchecked"),
    ]
    return "　".join(said) + "\n"


def _what(book: Book, rule: Rule, checks: Sequence[RuleCheck]) -> str:
    sample = sample_check(rule, checks)
    form = book.catalogue.forms[sample.form_id] if sample else _home(book, rule)
    said = [f"医生看到的提示：\n\n> {_message(book, rule, rule.message, form)}\n"]
    if sample is None:
        said.append(f"命中条件：**{md.text(rule.expression)}**\n")
    else:
        example = f"（以“{_field_title(book, sample)}”为例）" if rule.per_field else ""
        said.append(f"命中条件{md.text(example)}：**{md.text(to_chinese(sample.violated, book.catalogue))}**\n")
    if rule.note:
        said.append(f"说明：{book.refer(rule.note, rule_page(rule.rule_id))}\n")
    return "\n".join(said)


def _whom(book: Book, rule: Rule, checks: Sequence[RuleCheck], here: str) -> str:
    sample = sample_check(rule, checks)
    lines = [f"**对象**：{GRAIN_TITLES[rule.grain]}，{_one_finding(rule)}"]
    if sample is None:
        lines += _population_of_model(book, rule, here)
    else:
        lines += _population_of_check(book, rule, sample, here)
    lines.append(f"**适用期**：{md.text(_validity(rule))}")
    if rule.period_scoped:
        lines.append("**统计期**：按统计期计数，换一个统计期另立问题。")
    if rule.needs:
        lines.append(f"**所需数据**：{md.text(rule.needs)}；没有一个对象有这些数据时记“没有数据”，不算通过。")
    if rule.statistical:
        lines.append("**统计检验**：结论是核查线索，有约定的误报率，不是确定的错。")
    if rule.suppressed_by:
        others = "、".join(book.link_rule(other, here) for other in rule.suppressed_by)
        lines.append(f"**不重复报**：同一记录已命中 {others} 的，本条不报。")
    if book.suppresses.get(rule.rule_id):
        others = "、".join(book.link_rule(other, here) for other in book.suppresses[rule.rule_id])
        lines.append(f"**不重复报**：命中本条的记录，不再报 {others}。")
    if checks:
        lines += _not_evaluable(book, rule, checks)
    return md.bullets(lines)


def _one_finding(rule: Rule) -> str:
    return "每个字段最多一条问题。" if rule.per_field else "每个对象最多一条问题。"


def _population_of_check(book: Book, rule: Rule, sample: RuleCheck, here: str) -> list[str]:
    when = to_chinese(sample.when, book.catalogue) if sample.when else ""
    where = "所在表单" if len(rule.form_ids) > 1 else f"{book.link_form(sample.form_id, here)}"
    valid = md.link("有效记录", RULINGS, here) if book.rulings else "有效记录"
    fields = "，每个适用的字段各算一项" if rule.per_field else ""
    example = f"以“{md.text(_field_title(book, sample))}”为例，" if rule.per_field else ""
    concerned = f"中满足“{md.text(when)}”的" if when not in ("", _ALWAYS) else "，全部都算"
    broken = _asserted(sample.violated) if rule.assertion else None
    if broken is not None:
        failing = f"其中不满足“{md.text(to_chinese(broken, book.catalogue))}”的"
    else:
        failing = f"其中“{md.text(to_chinese(sample.violated, book.catalogue))}”的"
    return [
        f"**分母**（适用）：{where}里的{valid}{concerned}{fields}。",
        f"**分子**（命中）：{example}{failing}。结果不确定（有空值）的不算命中。",
    ]


def _population_of_model(book: Book, rule: Rule, here: str) -> list[str]:
    home = book.scope(rule, here)
    valid = md.link("有效记录", RULINGS, here) if book.rulings else "有效记录"
    report = any(form_id in book.catalogue.reports for form_id in rule.form_ids)
    material = "报表的各期" if report else f"{home}的{valid}"
    lines = [
        f"**分母**（适用）：从{material}里数出的{_subject(rule)}中，模型能判的（结果里 `violated` 不为空的）。",
        f"**分子**（命中）：其中“{md.text(rule.expression)}”的。",
    ]
    if rule.own_reads:
        lines.append(f"**读取**：各表自己的 {'、'.join(md.text(name) for name in rule.own_reads)}")
    for form_id, columns in rule.reads.items():
        lines.append(f"**读取**：{book.link_form(form_id, here)}的 {_columns(book, form_id, columns)}")
    return lines


def _subject(rule: Rule) -> str:
    subjects = {"row": "各条记录", "person": "各个人", "doc": "各名医生", "inst": "各家机构", "household": "各户家庭"}
    return subjects[rule.grain]


def _asserted(violated: Expression) -> Expression | None:
    """What must hold, where the violation is written as its plain negation."""
    node = violated.node
    if isinstance(node, Call) and node.op == "not":
        return Expression(violated.text, node.args[0])
    return None


def _validity(rule: Rule) -> str:
    said = validity_said(rule)
    by_date = "服务日期" if rule.grain == "row" else "统计期末"
    return "不限。" if said == "不限" else f"{by_date} {said}。"


def _not_evaluable(book: Book, rule: Rule, checks: Sequence[RuleCheck]) -> list[str]:
    if rule.per_field:
        return ["**未能判定**：文件里整列没有这个必填字段，或没有它的条件所读的必填列时，这一项不判，也不算通过。"]
    needed: dict[str, str] = {}
    for one in checks:
        for name in sorted(one.required):
            needed.setdefault(name, book.catalogue.forms[one.form_id].field(name).title)
    if not needed:
        return []
    listed = "、".join(md.text(title) for title in needed.values())
    return [f"**未能判定**：文件里缺 {listed} 中任何一列（整列没有）时不判，也不算通过。"]


def _why(book: Book, rule: Rule, here: str) -> str:
    note = book.notes.dimensions.get(rule.dimension)
    said = []
    if note:
        dimension = md.link(md.text(rule.dimension), dimension_page(rule.dimension), here)
        said.append(f"{dimension}：{md.text(note.meaning)}{md.text(note.why)}\n")
    meaning = book.notes.severities.get(rule.severity)
    if meaning:
        said.append(f"{severity_badge(rule.severity)}：{md.text(meaning)}\n")
    if rule.basis:
        said.append(f"依据是{md.text(rule.basis)}。\n")
    return "\n".join(said)


def _remedy(book: Book, rule: Rule, checks: Sequence[RuleCheck]) -> str:
    sample = sample_check(rule, checks)
    form = book.catalogue.forms.get(sample.form_id) if sample else _home(book, rule)
    lines = []
    if rule.per_field:
        lines.append("**改哪一格**：问题里写明的那个字段。")
    elif rule.field:
        title = form.field(rule.field).title if form and form.has(rule.field) else ""
        lines.append(f"**改哪一格**：{md.text(title)} {md.code(rule.field)}。错在别的格子的，改那一格。")
    if rule.expected:
        lines.append(f"**应为**：{_message(book, rule, rule.expected, form)}")
    if rule.suggestion and rule.suggestion.text:
        lines.append(f"**建议**：{md.text(rule.suggestion.text)}")
    elif sample and sample.suggestion:
        computed = to_chinese(sample.suggestion, book.catalogue)
        lines.append(f"**建议**：问题里给出按“{md.text(computed)}”算得的值，核对后采用。")
        if rule.suggestion and rule.suggestion.certain:
            lines.append("**更正**：算得的值没有疑问的，列入本机构的建议更正文件，可由平台导入；系统不自行更正。")
    note = book.notes.dimensions.get(rule.dimension)
    if note:
        lines += [f"**谁改**：{md.text(note.who)}", f"**怎么改**：{md.text(note.how)}"]
    return md.bullets(lines)


def _parameters(rule: Rule, here: str) -> str:
    if not rule.params:
        return ""
    rows = [(md.code(name), md.text(plain(value))) for name, value in rule.params.items()]
    every = md.link("参数一览", PARAMETERS, here)
    return md.table(("参数", "值"), rows) + f"\n改阈值只改参数，不改判断。全部规则的参数见{every}。\n"


def _examples(book: Book, rule: Rule, checks: Sequence[RuleCheck]) -> str:
    judged = [("通过", one) for one in rule.pass_examples] + [("命中", one) for one in rule.fail_examples]
    if not judged:
        return ""
    said = "没有列出的字段为空。每条样例在 Polars 和 DuckDB 里各算一遍，结果须与这里一致。\n\n"
    names = list(dict.fromkeys(name for _, one in judged for name in one.values))
    if len(names) > _MOST_COLUMNS:
        return said + md.table(
            ("结果", "记录"), [(_outcome(outcome), md.text(example_said(one))) for outcome, one in judged]
        )
    sample = sample_check(rule, checks)
    form = _example_form(book, rule, sample)
    header = ["结果", *(_example_header(book, form, name) for name in names), "说明"]
    rows = [
        [_outcome(outcome), *(_example_cell(book, form, one, name) for name in names), md.text(one.note)]
        for outcome, one in judged
    ]
    return said + md.table(header, rows)


def _example_form(book: Book, rule: Rule, sample: RuleCheck | None) -> Form | None:
    """The form whose titles and codes the examples are told with: the one they name, else the sample's."""
    named = [str(one.values["form"]) for one in (*rule.fail_examples, *rule.pass_examples) if "form" in one.values]
    return book.catalogue.forms.get(named[0] if named else sample.form_id if sample else "")


def _outcome(outcome: str) -> str:
    return md.badge(outcome, "passing" if outcome == "通过" else "failing")


def _example_header(book: Book, form: Form | None, name: str) -> str:
    if name in _EXAMPLE_TITLES:
        return _EXAMPLE_TITLES[name]
    title = _name_title(book, form, name)
    return f"{md.text(title)} {md.code(name)}" if title != name else md.code(name)


def _example_cell(book: Book, form: Form | None, example: Example, name: str) -> str:
    if name not in example.values:
        return ""
    value = example.values[name]
    if name == "form":
        return md.text(form_title(book.catalogue, str(value)))
    column = form.by_name.get(name) if form else None
    return md.text(_with_code_name(book, column, value))


def _with_code_name(book: Book, column: Field | None, value: Any) -> str:
    codes = book.catalogue.codes.get(column.codes) if column and column.codes else None
    if codes is None or column is None or column.kind == "text":
        return plain(value)
    values = value if isinstance(value, list) else [value]
    named = [f"{one} {codes.by_code[str(one)].name}" if str(one) in codes.by_code else plain(one) for one in values]
    return "、".join(named)


def _per_field(book: Book, rule: Rule, checks: Sequence[RuleCheck], here: str) -> str:
    if not rule.per_field:
        return ""
    rows = []
    for form_id, names in fields_by_form(checks).items():
        form = book.catalogue.forms[form_id]
        titles = "、".join(md.text(form.field(name).title) for name in names)
        rows.append((book.link_form(form_id, here), str(len(names)), titles))
    return f"这条规则展开成 {len(checks)} 项检查：\n\n" + md.table(("表单", "字段数", "字段"), rows)


def _judgement(book: Book, rule: Rule, checks: Sequence[RuleCheck]) -> str:
    parts = [_CARRIED[rule.carrier] + "\n"]
    if rule.carrier == "dbt":
        sql = book.models.get(rule.model or "")
        parts.append(f"模型 {md.code(rule.model or '')}：\n")
        parts.append(md.block(sql, "sql+jinja") if sql else "（源码不在这份目录里）\n")
        return "\n".join(parts)
    written = "\n".join(f"{key}: {one_line(text)}" for key, text in as_written(rule) if text)
    parts.append("写在目录里的表达式：\n\n" + md.block(written))
    if rule.per_field and checks:
        parts.append("以一个字段为例的 DuckDB SQL：\n")
    else:
        parts.append("DuckDB SQL（格子不可用时读作 NULL；结果为 TRUE 才命中）：\n")
    shared = sql_of(rule, checks)
    for one in shared:
        if len(shared) > 1:
            parts.append("、".join(md.text(form_title(book.catalogue, form_id)) for form_id in one.form_ids) + "：\n")
        parts.append(md.block(f"-- 适用\n{one.applies}\n-- 命中\n{one.violated}", "sql"))
    derived = [book.catalogue.derived[name] for name in derived_named(book.catalogue, rule)]
    if derived:
        rows = [(md.code(one.name), md.text(one.title), md.code(one.expr)) for one in derived]
        parts.append("用到的派生名：\n\n" + md.table(("名字", "中文", "算法"), rows))
    if rule.equivalent_mutants:
        alike = [(md.code(one.mutant), md.text(one.why)) for one in rule.equivalent_mutants]
        parts.append("样例分辨不出、也无须分辨的改动：\n\n" + md.table(("改动", "为什么结果一样"), alike))
    return "\n".join(parts)


def _grounds(book: Book, rule: Rule, here: str) -> str:
    root = f"身份信息 {md.code(rule.root)} 的错" if rule.root else ""
    rows = [
        ("依据", md.text(rule.basis)),
        ("核对", md.text(checked_said(rule))),
        ("适用期", md.text(validity_said(rule))),
        ("版本", f"第 {rule.version} 版"),
        ("同一处错", root),
        ("写在", md.code(f"{rule.place.file}") + f" 第 {rule.place.line} 行"),
        ("指纹", md.code(rule.fingerprint[:12])),
    ]
    return md.table(("项", "内容"), [(name, said) for name, said in rows if said])


def _home(book: Book, rule: Rule) -> Form | None:
    return next((book.catalogue.forms[one] for one in rule.form_ids if one in book.catalogue.forms), None)


def _field_title(book: Book, check: RuleCheck) -> str:
    form = book.catalogue.forms[check.form_id]
    return f"{form.title}·{form.field(check.field).title}"


def _message(book: Book, rule: Rule, template: str, form: Form | None) -> str:
    """A message with what is filled in named: parameters by value, everything else by title."""
    said = []
    for literal, name, _, _ in Formatter().parse(template):
        said.append(md.piece(literal))
        if name and name in rule.params:
            said.append(md.text(plain(rule.params[name])))
        elif name:
            said.append(md.badge(md.text(_name_title(book, form, name)), "slot"))
    return "".join(said).strip()


def _name_title(book: Book, form: Form | None, name: str) -> str:
    if name in _FINDING_TITLES and not (form and form.has(name)):
        return _FINDING_TITLES[name]
    if form and form.has(name):
        return form.field(name).title
    if name in book.catalogue.derived:
        return book.catalogue.derived[name].title
    return CONTEXT_NAMES.get(name, name)


def _columns(book: Book, form_id: str, names: Iterable[str]) -> str:
    form, report = book.catalogue.forms.get(form_id), book.catalogue.reports.get(form_id)
    titles = {name: form.field(name).title for name in names if form and form.has(name)}
    if report:
        titles = {name: report.by_item[name].title for name in names if name in report.by_item}
    return "、".join(f"{md.text(titles[name])} {md.code(name)}" if name in titles else md.code(name) for name in names)
