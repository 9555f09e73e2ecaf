"""The sections of a report page, in the order they are read: how good, since when, where, whose, what next.

Belongs here: which figures of ``facts`` stand where, under which words. Does not belong here: the figures, the look.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import polars as pl
from markupsafe import Markup

from phqc_pipeline.reports import charts
from phqc_pipeline.reports.facts import SEVERITIES, InstitutionFacts
from phqc_pipeline.reports.layout import (
    Card,
    Chart,
    Row,
    Section,
    Shape,
    Table,
    classed,
    decimal,
    joined,
    period_text,
    rows,
    share,
    whole,
)
from phqc_pipeline.reports.reconciliation import reconciliation

_LEVELS = ("severe", "ordinary", "hint")
_FORMS_DRAWN, _RULES_DRAWN, _PEERS_DRAWN, _DOCTORS_DRAWN = 15, 10, 15, 12
FILE_STATUS_TITLES = {"accepted": "已接收", "quarantined": "已隔离", "superseded": "已被替换"}


def cards(facts: InstitutionFacts) -> list[Card]:
    """What is read at a glance."""
    without = "、".join(f"“{severity}”" for severity in facts.scheme["passes_without"]) or "“严重”"
    levels = zip(SEVERITIES, _LEVELS, strict=True)
    fixed = facts.states.get("fixed", 0)
    opened = facts.findings + fixed
    return [
        Card("得分", decimal(facts.score), _place_among_peers(facts)),
        Card("记录合格率", share(facts.pass_rate), f"没有{without}问题的记录占比；共 {facts.records:,} 条记录"),
        Card(
            "待整改问题", whole(facts.findings), joined(f"{title} {facts.severity(name):,}" for title, name in levels)
        ),
        Card(
            "已整改",
            whole(fixed),
            f"占已发现的 {share(100 * fixed / opened)}" if opened else "还没有发现过问题",
        ),
    ]


def sections(facts: InstitutionFacts) -> list[Section]:
    """Every section that has something to say of these facts."""
    found = [
        _score(facts),
        _trend(facts),
        _changes(facts),
        _comparison(facts) if facts.is_all else None,
        _distribution(facts),
        _rules(facts),
        _forms(facts),
        _doctors(facts),
        _progress(facts),
        None if facts.is_all else _comparison(facts),
        _due(facts),
        reconciliation(facts),
        _charges(facts),
        _not_judged(facts),
        _files(facts),
    ]
    return [section for section in found if section is not None]


def _place_among_peers(facts: InstitutionFacts) -> str:
    if facts.is_all:
        return f"记录平均分 {decimal(facts.mean_record_score)}"
    codes = facts.peers.filter(pl.col("score").is_not_null())["institution_code"].to_list()
    if len(codes) < 2 or facts.institution_code not in codes:
        return f"满分 100；记录平均分 {decimal(facts.mean_record_score)}"
    return f"同级（{facts.level}）{len(codes)} 家中第 {codes.index(facts.institution_code) + 1} 名"


def _score(facts: InstitutionFacts) -> Section:
    points = joined(f"{severity} {cost:g} 分" for severity, cost in facts.scheme["deductions"].items())
    scores = facts.further.get("scores", pl.DataFrame())
    lost = {name: facts.further.get(name, pl.DataFrame()) for name in ("lost_rules", "lost_forms")}
    notes = ["得分是合格记录占参加质控记录的比例（按方案可给各表单加权），满分 100。"] if scores.height else []
    if points:
        notes.append(f"每条记录另从 100 分起，每个问题扣分（{points}），扣到 0 为止；各条的平均是记录平均分。")
    drawn = []
    if lost["lost_rules"].height:
        notes.append("下面是少得的分数出在哪里；一条记录因几条规则不合格的，由这几条分摊。")
        for name, caption, label in (
            ("lost_rules", "失分最多的规则", "rule_title"),
            ("lost_forms", "失分最多的表单", "form_title"),
        ):
            frame = lost[name]
            bars = charts.bars(
                name, caption, frame[label].to_list(), frame["lost"].to_list(), None, " 分", 2, end=False
            )
            drawn.append(Chart(caption, Markup(bars)))
    shape = Shape().text("scheme_title", "质控方案", "lead").whole("records", "记录数").whole("records_passed", "合格")
    shape.decimal("score", "得分").decimal("mean_record_score", "记录平均分").decimal("pass_line", "达标线")
    shape.cell("是否达标", lambda row: _reached(row, facts.is_all))
    tables = [Table(rows(scores), shape.columns, kind="figures")] if scores.height else []
    return Section("score", "得分与构成", notes, drawn, tables)


def _reached(row: Row, is_all: bool) -> Any:
    if row["pass_line"] is None:
        return "—"
    if is_all:
        return f"{row['reached']} 家达标，{row['not_reached']} 家未达标"
    return classed("达标", "good") if row["reached"] else classed("未达标", "bad")


def _changes(facts: InstitutionFacts) -> Section | None:
    changes = facts.further.get("changes")
    if changes is None or changes.is_empty():
        return None
    moves = (
        ("new_findings", "新出现"),
        ("fixed_findings", "改好"),
        ("reopened_findings", "反复"),
        ("waived_findings", "豁免"),
        ("waiver_ended_findings", "豁免到期"),
        ("retired_findings", "不再适用"),
    )
    told = joined(f"{title} {int(changes[name].sum()):,}" for name, title in moves)
    who = Shape().text("who", "机构" if facts.is_all else "责任医生", "lead")
    rule = Shape().cell("规则", lambda row: f"{row['rule_title']}（{row['rule_id']}）", "lead").severity()
    for name, title in moves:
        who.whole(name, title)
        rule.whole(name, title)
    tables = [
        Table(rows(changes), who.columns, title="按机构" if facts.is_all else "按医生", kind="figures"),
        Table(rows(facts.further["changed_rules"]), rule.columns, title="变化最多的规则", kind="figures"),
    ]
    return Section("changes", f"与上一夜（{rows(changes)[0]['previous_date']}）相比", [f"{told}。"], tables=tables)


def _forms(facts: InstitutionFacts) -> Section:
    shape = Shape().text("form_title", "表单", "lead").whole("records", "记录数").decimal("score", "平均分")
    shape.share("pass_rate", "合格率").whole("records_failed", "不合格")
    for title, name in zip(SEVERITIES, _LEVELS, strict=True):
        shape.whole(name, title)
    table = Table(rows(facts.by_form), shape.columns, none="没有参加质控的记录。", kind="figures")
    return Section("forms", "各表单", tables=[table])


def _trend(facts: InstitutionFacts) -> Section:
    nights = facts.trend.fill_null(0)
    if nights.height < 2:
        return Section("trend", "历夜趋势", ["这是第一次质控，下一次起可以看到变化。"])
    labels = nights["snapshot_date"].dt.to_string("%m-%d").to_list()
    series = {title: nights[name].to_list() for title, name in zip(SEVERITIES, _LEVELS, strict=True)}
    first, last = nights.row(-2, named=True), nights.row(-1, named=True)
    change = joined(
        f"{title} {last[name]:,}（{last[name] - first[name]:+,}）"
        for title, name in zip(SEVERITIES, _LEVELS, strict=True)
    )
    drawn = charts.lines("trend", "历夜命中数", labels, series)
    return Section(
        "trend",
        "历夜趋势",
        [f"最近一夜命中：{change}；括号里是与上一夜（{first['snapshot_date']}）相比。"],
        [Chart("历夜命中数", Markup(drawn))],
    )


def _distribution(facts: InstitutionFacts) -> Section:
    if not facts.findings:
        return Section("where", "问题在哪里", ["没有待整改的问题。"])
    forms = facts.by_form.filter(pl.col("findings") > 0).sort("findings", descending=True, maintain_order=True)
    more = forms.height - _FORMS_DRAWN
    forms = forms.head(_FORMS_DRAWN)
    return Section(
        "where",
        "问题在哪里",
        charts=[
            _stacked("forms", "按表单" + (f"（最多的 {_FORMS_DRAWN} 种）" if more > 0 else ""), forms, "form_title"),
            _stacked("dimensions", "按质控维度", facts.by_dimension, "dimension"),
        ],
    )


def _rules(facts: InstitutionFacts) -> Section | None:
    if facts.worst_rules.is_empty():
        return None
    shape = Shape().cell("规则", lambda row: f"{row['title']}（{row['rule_id']}）", "lead").severity()
    shape.text("form_title", "表单", "said").whole("findings", "问题数")
    if facts.is_all:
        shape.whole("institutions", "涉及机构")
    shape.cell("例", lambda row: classed(row["example"], "example")).text("basis", "依据", "said")
    return Section(
        "rules",
        "问题最多的规则",
        ["先列严重的；“例”是其中一条记录的提示。"],
        tables=[Table(rows(facts.worst_rules), shape.columns, kind="stack")],
    )


def _doctors(facts: InstitutionFacts) -> Section | None:
    doctors = facts.by_doctor
    if doctors.is_empty() or facts.is_all:
        return None
    shape = Shape().text("doctor_name", "责任医生", "lead").whole("records", "记录数").share("pass_rate", "合格率")
    shape.decimal("score", "平均分")
    for title, name in zip(SEVERITIES, _LEVELS, strict=True):
        shape.whole(name, title)
    drawn = doctors.head(_DOCTORS_DRAWN)
    return Section(
        "doctors",
        "责任医生",
        charts=[_stacked("doctors", f"待整改问题（前 {drawn.height} 位）", drawn, "doctor_name")],
        tables=[Table(rows(doctors), shape.columns, kind="figures")],
    )


def _progress(facts: InstitutionFacts) -> Section:
    states = facts.states
    told = [
        ("待整改", "open"),
        ("反复", "reopened"),
        ("已整改", "fixed"),
        ("已豁免", "waived"),
        ("不再适用", "retired"),
    ]
    notes = [joined(f"{title} {states.get(state, 0):,}" for title, state in told) + "。"]
    if facts.fixed_days is not None:
        notes.append(f"已整改的问题，从发现到改好的天数中位数是 {facts.fixed_days:g} 天。")
    notes.append("反复：改好以后又出现的。不再适用：记录已不在、规则已停用或统计期已过，不算整改。")
    drawn = []
    if facts.findings:
        drawn.append(_stacked("ages", "待整改问题发现了多久", facts.ages, "age_class"))
    tables = []
    answers = facts.further.get("answers", pl.DataFrame())
    if answers.height:
        shape = Shape().cell("答复", lambda row: row["answer"] or "（没有选）", "lead").whole("answers", "条数")
        shape.cell("读回", lambda row: "已采纳" if row["accepted"] else row["reason"])
        tables = [Table(rows(answers), shape.columns, title="整改清单的答复", kind="stack")]
    return Section("progress", "整改进展", notes, drawn, tables)


def _comparison(facts: InstitutionFacts) -> Section | None:
    peers = facts.peers.filter(pl.col("score").is_not_null())
    if peers.height < 2:
        return None
    mine = peers["institution_code"].to_list()
    own = mine.index(facts.institution_code) if facts.institution_code in mine else None
    drawn = peers.head(_PEERS_DRAWN)
    if own is not None and own >= _PEERS_DRAWN:  # the reader is always in the picture
        drawn = pl.concat([drawn.head(_PEERS_DRAWN - 1), peers.slice(own, 1)])
        own = _PEERS_DRAWN - 1
    names = drawn["institution_name"].to_list()
    shape = Shape().text("institution_name", "机构", "lead")
    if facts.is_all:
        shape.text("level", "级别")
    shape.whole("records", "记录数").decimal("score", "得分").share("pass_rate", "合格率")
    shape.whole("findings", "待整改").whole("severe", "其中严重").decimal("per_thousand", "每千条记录问题")
    among = "各机构" if facts.is_all else f"同级机构（{facts.level or '级别未登记'}）"
    score, rate = (float(peers[name].to_numpy().mean()) for name in ("score", "pass_rate"))
    notes = [f"{among}共 {peers.height} 家，平均得分 {decimal(score)}，平均合格率 {share(rate)}。"]
    return Section(
        "peers",
        "各机构情况" if facts.is_all else "与同级机构比较",
        notes,
        [
            Chart("得分", Markup(charts.bars("scores", "各机构得分", names, drawn["score"].to_list(), own))),
            Chart(
                "每千条记录的问题数",
                Markup(charts.bars("rates", "每千条记录的问题数", names, drawn["per_thousand"].to_list(), own)),
            ),
        ],
        [Table(rows(peers), shape.columns, kind="figures", own=("institution_code", facts.institution_code))],
    )


def _due(facts: InstitutionFacts) -> Section | None:
    due = facts.further.get("due")
    if due is None or due.is_empty():
        return None
    service = Shape().text("service_title", "服务", "lead")
    whom = Shape().text("who", "机构" if facts.is_all else "责任医生", "lead")
    for name, title in (
        ("overdue", "逾期"),
        ("this_month", "本月应做"),
        ("soon", "将到期"),
        ("longest", "最长逾期天数"),
    ):
        service.whole(name, title)
        whom.whole(name, title)
    note = "逾期：过了应做的日期还没有服务记录。名单见同目录 应做名单.xlsx。"
    tables = [
        Table(rows(due), service.columns, kind="figures"),
        Table(rows(facts.further["due_by_whom"]), whom.columns, title="由谁做", kind="figures"),
    ]
    outlook = facts.further.get("outlook")
    if outlook is not None and outlook.height and not facts.is_all:
        shape = Shape().text("indicator_title", "指标", "lead").decimal("value_none", "到年末不再做", 2)
        shape.decimal("value_all", "应做的全部做完", 2).whole("to_do", "还能争取（人）").decimal("target", "目标", 2)
        shape.cell("达标", _outlook_said)
        tables.append(Table(rows(outlook), shape.columns, title="年末推算", kind="figures"))
    return Section(
        "due", "应做名单", ["逾期：过了应做的日期还没有服务记录。"] if facts.is_all else [note], tables=tables
    )


def _outlook_said(row: Row) -> Any:
    if row["meets_all"] is None:
        return "—"
    if row["meets_none"]:
        return classed("已够", "good")
    return "做完可达标" if row["meets_all"] else classed("做完也不够", "bad")


def _charges(facts: InstitutionFacts) -> Section | None:
    if facts.charges.is_empty():
        return None
    shape = Shape().text("order_no", "订单", "lead")
    if facts.is_all:
        shape.text("institution_code", "机构")
    shape.cell("计费依据", _basis_text, "said")
    shape.whole("quantity", "计费数量").cell("单价（元）", lambda row: price_text(row["unit_price"]), "n")
    shape.cell("应付（元）", lambda row: "—" if row["amount"] is None else f"{row['amount']:,.2f}", "n")
    shape.cell("大写", lambda row: row["amount_words"] or row.get("reason") or "", "said")
    shape.cell("付款期限", lambda row: row["due_on"] or "—", "short").whole("quantity_from_records", "按档案重算")
    return Section("charges", "应付服务费", tables=[Table(rows(facts.charges), shape.columns, kind="stack")])


def _basis_text(row: Row) -> str:
    return f"{row['item_title']}（{period_text(row['basis_year'], row['basis_period'])}）"


def _not_judged(facts: InstitutionFacts) -> Section:
    shape = Shape().text("reason", "原因", "lead")
    shape.cell("表单", lambda row: classed("、".join(filter(None, row["form_titles"])), "example"))
    shape.whole("rules", "规则数")
    if facts.is_all:
        shape.whole("institutions", "涉及机构")
    return Section(
        "not-judged",
        "未能判定",
        ["缺列、缺名单或没有收到的表，相应规则没有判定，不算通过。"] if not facts.not_judged.is_empty() else [],
        tables=[Table(rows(facts.not_judged), shape.columns, none="全部规则均已判定。", kind="stack")],
    )


def _files(facts: InstitutionFacts) -> Section:
    files = facts.files
    notes = []
    if facts.is_all:
        files = files.filter((pl.col("status") != "accepted") | (pl.col("rows_rejected").fill_null(0) > 0))
        notes = ["这里只列被隔离、被替换或有拒收行的文件。"]
    shape = Shape().cell("文件", lambda row: row["path"].rsplit("/", 1)[-1], "lead")
    shape.text("snapshot_date", "日期", "short").text("form_title", "表单", "said")
    if facts.is_all:
        shape.text("institution_code", "机构")
    shape.cell("状态", lambda row: FILE_STATUS_TITLES.get(row["status"], row["status"]), "short")
    shape.whole("rows_read", "行数").whole("rows_rejected", "拒收")
    shape.cell("说明", lambda row: shortened(row["reason"]))
    return Section("files", "收到的文件", notes, tables=[Table(rows(files), shape.columns, kind="stack")])


def _stacked(name: str, caption: str, frame: pl.DataFrame, label: str) -> Chart:
    parts: Mapping[str, Sequence[int]] = {
        title: frame[column].to_list() for title, column in zip(SEVERITIES, _LEVELS, strict=True)
    }
    return Chart(caption, Markup(charts.stacked_bars(name, caption, frame[label].to_list(), parts)))


def shortened(text: str | None, longest: int = 80) -> str:
    text = text or ""
    return text if len(text) <= longest else text[: longest - 1] + "…"


def price_text(price: Decimal | None) -> str:
    """0.6; — where nothing is counted by the piece."""
    return "—" if price is None else f"{price.normalize():f}"
