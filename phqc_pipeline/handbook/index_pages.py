"""The ways into the handbook: the first page, rules by dimension and severity, all rules, parameters, derived names.

Belongs here: lists. Does not belong here: the page of one rule (``rule_pages``) or form (``form_pages``).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from phqc_pipeline.catalogue import Rule, Scheme
from phqc_pipeline.catalogue.explain import one_line, plain
from phqc_pipeline.catalogue.model import DIMENSIONS, SEVERITIES
from phqc_pipeline.handbook import markup as md
from phqc_pipeline.handbook.book import (
    CODES,
    DERIVED,
    DIMENSIONS_PAGE,
    FORMS,
    PARAMETERS,
    REPORTS,
    RULES,
    RULINGS,
    SEVERITIES_PAGE,
    Book,
    dimension_page,
    severity_badge,
    severity_page,
)

TITLE = "质控规则手册"

_RULE_NUMBER = re.compile(r"(?<![\w`/-])[A-Z]{2,4}-[A-Z]-\d{3}(?![\w-])")
_LINK = re.compile(r"\[([^\]]+)\]\(([^)\s]+)\)")


def index_pages(book: Book) -> dict[str, str]:
    """Page name → Markdown."""
    pages = {
        "index": _first_page(book),
        RULES: md.page("全部规则", "按编号排。\n", book.rule_table(book.latest, RULES), orphan=False, searchable=False),
        PARAMETERS: _parameters(book),
        DERIVED: _derived(book),
        DIMENSIONS_PAGE: _dimension_index(book),
        SEVERITIES_PAGE: _severity_index(book),
    }
    pages |= {dimension_page(one): _dimension(book, one) for one in DIMENSIONS}
    pages |= {severity_page(one): _severity(book, one) for one in SEVERITIES}
    if book.rulings:
        pages[RULINGS] = _rulings(book)
    return pages


def _first_page(book: Book) -> str:
    catalogue = book.catalogue
    record = sum(rule.carrier == "pandera" for rule in book.latest)
    unverified = sum(not rule.verified for rule in book.latest)
    said = (
        f"{len(book.latest)} 条规则：查什么、查谁、为什么、怎样改正、依据什么。"
        f"其中一条记录自己就能判断的 {record} 条，要看多条记录、别的表单或报表的 {len(book.latest) - record} 条；"
        f"数值尚未与规范原件核对（“待核”）的 {unverified} 条。"
        f"另有 {len(catalogue.forms)} 张表单的字段和 {len(catalogue.codes)} 张代码表。\n"
    )
    example = md.text(book.latest[-1].rule_id) if book.latest else ""
    ways = md.table(
        ("想找什么", "去哪里"),
        [
            (f"整改清单上的编号，如 {example}", "在左侧（手机点左上角）的搜索框里输入编号"),
            ("一个词：表单名、字段名、提示里的话", "同一个搜索框；几个词用空格隔开"),
            ("某张表单有哪些规则、字段怎么填", md.link("按表单查", FORMS, "index")),
            ("完整性、逻辑性、及时性等哪一类", md.link("按维度查", DIMENSIONS_PAGE, "index")),
            ("先改严重的", md.link("按级别查", SEVERITIES_PAGE, "index")),
            ("阈值是多少", md.link("参数一览", PARAMETERS, "index")),
            ("代码怎么写", md.link("代码表", CODES, "index")),
        ],
    )
    reading = md.bullets(
        [
            "**分母**（适用）是这条规则管得着的记录，**分子**（命中）是其中有问题的；命中率是分子除以分母。",
            "判断的结果有四种：通过、命中、不适用（不在分母里）、未能判定（缺列、缺资料，不算通过）。",
            "空格子不算违规，除非规则查的就是“填了没有”；认不出、代码不对、超出可能范围的格子已有自己的问题，别的规则当它是空。",
            "“待核”的规则，数值还没有与规范原件逐字核对，不宜单独作为扣分的依据。",
        ]
    )
    contents = md.contents([FORMS, DIMENSIONS_PAGE, SEVERITIES_PAGE, RULES, PARAMETERS], "index", "规则")
    contents += "\n" + md.contents([CODES, REPORTS, DERIVED], "index", "字典")
    if book.rulings:
        contents += "\n" + md.contents([RULINGS], "index", "口径")
    made = "本手册由规则目录生成；目录改了，重新运行 `phqc rules docs`。\n"
    return md.page(TITLE, said, f"## 怎么查\n\n{ways}", f"## 怎么读一页规则\n\n{reading}", made, contents, orphan=False)


def _dimension_index(book: Book) -> str:
    rows = []
    for dimension in DIMENSIONS:
        rules = [rule for rule in book.latest if rule.dimension == dimension]
        note = book.notes.dimensions.get(dimension)
        link = md.link(md.text(dimension), dimension_page(dimension), DIMENSIONS_PAGE)
        rows.append((link, str(len(rules)), *_by_severity(rules), md.text(note.meaning if note else "")))
    header = ("维度", "规则", *(severity_badge(one) for one in SEVERITIES), "问的是什么")
    contents = md.contents([dimension_page(one) for one in DIMENSIONS], DIMENSIONS_PAGE)
    return md.page("按维度查", md.table(header, rows), contents, orphan=False, searchable=False)


def _severity_index(book: Book) -> str:
    rows = []
    for severity in SEVERITIES:
        rules = [rule for rule in book.latest if rule.severity == severity]
        link = md.link(severity, severity_page(severity), SEVERITIES_PAGE)
        rows.append((link, str(len(rules)), md.text(book.notes.severities.get(severity, ""))))
    schemes = [_scheme(one) for one in book.catalogue.schemes.values()]
    contents = md.contents([severity_page(one) for one in SEVERITIES], SEVERITIES_PAGE)
    said = "级别是规则的，扣不扣分、扣多少是方案的。\n"
    table = md.table(("级别", "规则", "意思"), rows)
    return md.page("按级别查", said, table, md.bullets(schemes), contents, orphan=False, searchable=False)


def _scheme(scheme: Scheme) -> str:
    points = "，".join(f"{name}每条扣 {cost:g} 分" for name, cost in scheme.deductions.items())
    return f"方案“{md.text(scheme.title)}”：{points}；没有{'、'.join(scheme.passes_without)}的问题即合格。"


def _by_severity(rules: Sequence[Rule]) -> list[str]:
    return [str(sum(rule.severity == severity for rule in rules)) for severity in SEVERITIES]


def _dimension(book: Book, dimension: str) -> str:
    here = dimension_page(dimension)
    note = book.notes.dimensions.get(dimension)
    told = (
        md.bullets(
            [
                f"**问的是什么**：{md.text(note.meaning)}",
                f"**为什么要紧**：{md.text(note.why)}",
                f"**谁改**：{md.text(note.who)}",
                f"**怎么改**：{md.text(note.how)}",
            ]
        )
        if note
        else ""
    )
    rules = [rule for rule in book.latest if rule.dimension == dimension]
    parts = [told]
    for severity in SEVERITIES:
        group = [rule for rule in rules if rule.severity == severity]
        if group:
            parts.append(f"## {severity}（{len(group)} 条）\n\n{book.rule_table(group, here)}")
    return md.page(md.text(dimension), *parts, orphan=False, searchable=False)


def _severity(book: Book, severity: str) -> str:
    here = severity_page(severity)
    parts = [md.text(book.notes.severities.get(severity, "")) + "\n"]
    for dimension in DIMENSIONS:
        group = [rule for rule in book.latest if (rule.severity, rule.dimension) == (severity, dimension)]
        if group:
            parts.append(f"## {md.text(dimension)}（{len(group)} 条）\n\n{book.rule_table(group, here)}")
    return md.page(severity, *parts, orphan=False, searchable=False)


def _parameters(book: Book) -> str:
    rows = [
        (book.link_rule(rule.rule_id, PARAMETERS), md.text(rule.title), md.code(name), md.text(plain(value)))
        for rule in book.latest
        for name, value in rule.params.items()
    ]
    said = "规则里的阈值都是参数，在规则目录里改，不动判断。\n"
    table = md.table(("规则", "查什么", "参数", "值"), rows)
    return md.page("参数一览", said, table, orphan=False, searchable=False)


def _derived(book: Book) -> str:
    rows = [
        (md.text(one.title), md.code(one.name), md.code(one_line(one.expr))) for one in book.catalogue.derived.values()
    ]
    said = "各表通用的算出来的名字：定义一次，规则、提示和样例里都可以用。\n"
    return md.page("派生名", said, md.table(("中文", "名字", "算法"), rows), orphan=False)


def _rulings(book: Book) -> str:
    """The rulings as they stand in docs/, rule numbers as links; pages the handbook has not stay words."""

    def relink(found: re.Match[str]) -> str:
        said, target = found.groups()
        if target.startswith("#"):
            return found.group()
        return md.link(said, FORMS, RULINGS) if "表单字典" in target else said

    linked = _LINK.sub(relink, book.rulings)
    return _RULE_NUMBER.sub(lambda found: _link_number(book, found.group()), linked)


def _link_number(book: Book, rule_id: str) -> str:
    return book.link_rule(rule_id, RULINGS) if rule_id in book.versions else rule_id
