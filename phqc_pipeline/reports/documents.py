"""The bulletin (通报) to all institutions and the feedback letter (反馈函) to one, as Word documents.

Belongs here: the words and figures that fill a template. Does not belong here: the templates themselves, which a clerk
edits in Word: a file of the same name in HOME/templates/ is used instead of ours.

A template may use: date, issuer, issued_on, records, pass_rate, score, findings, severe, ordinary, hint, fixed,
reopened, trend, reconciliation, not_judged, rules (title, rule_id, severity, form_title, findings, institutions, basis)
and rows; the bulletin also institutions, best, last, and its rows are institutions (rank, name, level, records, score,
pass_rate, findings, severe); the letter institution, place, corrections, and its rows are forms (title, records, score,
pass_rate, severe, ordinary, hint). No resident's name, number or address is among them.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import jinja2
import polars as pl
from docxtpl import DocxTemplate

from phqc_pipeline.reports.facts import SEVERITIES, InstitutionFacts
from phqc_pipeline.reports.layout import decimal, share, whole

BULLETIN_NAME, LETTER_NAME = "通报.docx", "反馈函.docx"
OUR_TEMPLATES = Path(__file__).parent / "templates"
ISSUER = "（发文单位）"
_RULES, _NAMED = 8, 3
_LEVELS = ("severe", "ordinary", "hint")

Say = Callable[[str], None]


def write_bulletin(path: Path, facts: InstitutionFacts, templates: Path | None, say: Say) -> None:
    """Write the bulletin on all institutions to ``path``; ``templates``: a folder of the clerk's own templates."""
    peers = facts.peers.filter(pl.col("score").is_not_null())
    names = peers["institution_name"].to_list()
    several = len(names) > 2 * _NAMED
    rows = [
        {
            "rank": number,
            "name": row["institution_name"],
            "level": row["level"],
            "records": whole(row["records"]),
            "score": decimal(row["score"]),
            "pass_rate": share(row["pass_rate"]),
            "findings": whole(row["findings"]),
            "severe": whole(row["severe"]),
        }
        for number, row in enumerate(peers.iter_rows(named=True), start=1)
    ]
    context = _context(facts) | {
        "institutions": peers.height,
        "best": "、".join(names[:_NAMED]) if several else "",
        "last": "、".join(reversed(names[-_NAMED:])) if several else "",
        "rows": rows,
    }
    _fill(path, BULLETIN_NAME, context, templates, say)


def write_letter(path: Path, facts: InstitutionFacts, corrections: int, templates: Path | None, say: Say) -> None:
    """Write the letter to one institution to ``path``. ``corrections``: cells for which a correction is proposed."""
    peers = facts.peers.filter(pl.col("score").is_not_null())["institution_code"].to_list()
    place = ""
    if len(peers) > 1 and facts.institution_code in peers:
        place = f"，在同级{len(peers)}家机构中列第{peers.index(facts.institution_code) + 1}名"
    rows = [
        {
            "title": row["form_title"],
            "records": whole(row["records"]),
            "score": decimal(row["score"]),
            "pass_rate": share(row["pass_rate"]),
            **{name: whole(row[name]) for name in _LEVELS},
        }
        for row in facts.by_form.iter_rows(named=True)
    ]
    context = _context(facts) | {
        "institution": facts.institution_name,
        "place": place,
        "corrections": whole(corrections) if corrections else "",
        "rows": rows,
    }
    _fill(path, LETTER_NAME, context, templates, say)


def _context(facts: InstitutionFacts) -> dict[str, Any]:
    rules = facts.worst_rules.head(_RULES).to_dicts()
    for rule in rules:
        rule["findings"] = whole(rule["findings"])
    unjudged = int(facts.not_judged["rules"].sum()) if facts.not_judged.height else 0
    return {
        "date": day_text(facts.snapshot),
        "issued_on": day_text(facts.published_at.date()),
        "issuer": ISSUER,
        "records": whole(facts.records),
        "pass_rate": share(facts.pass_rate),
        "score": decimal(facts.score),
        "findings": whole(facts.findings),
        **{name: whole(facts.severity(name)) for name in _LEVELS},
        "fixed": whole(facts.states.get("fixed", 0)),
        "reopened": whole(facts.states.get("reopened", 0)),
        "trend": _trend(facts),
        "rules": rules,
        "reconciliation": _reconciliation(facts),
        "not_judged": whole(unjudged) if unjudged else "",
    }


def _trend(facts: InstitutionFacts) -> str:
    """How the last two nights differ, in a sentence; nothing after the first."""
    nights = facts.trend.fill_null(0)
    if nights.height < 2:
        return ""
    before, last = nights.row(-2, named=True), nights.row(-1, named=True)
    told = "、".join(
        f"{title}{'增加' if last[name] > before[name] else '减少'}{abs(last[name] - before[name]):,}个"
        for title, name in zip(SEVERITIES, _LEVELS, strict=True)
        if last[name] != before[name]
    )
    return (
        f"与{day_text(before['snapshot_date'])}相比，{told}。"
        if told
        else f"与{day_text(before['snapshot_date'])}相同。"
    )


def _reconciliation(facts: InstitutionFacts) -> str:
    if not facts.compared:
        return "本次没有可以由档案重算的上报数。"
    differing = facts.differing.height
    return (
        f"能由档案重算的上报数{facts.compared:,}个，一致{facts.compared - differing:,}个，"
        f"不一致{differing:,}个，明细见质控报告。"
    )


def day_text(day: date) -> str:
    """2024年12月31日."""
    return f"{day.year}年{day.month}月{day.day}日"


def _fill(path: Path, name: str, context: dict[str, Any], templates: Path | None, say: Say) -> None:
    """Our template where the clerk has none; also where his cannot be filled, and then it is said why."""
    own = templates / name if templates is not None else None
    if own is not None and own.is_file():
        try:
            _render(own, context, path)
            return
        except (jinja2.TemplateError, zipfile.BadZipFile, KeyError, ValueError) as error:
            say(f"模板 {own} 用不了，改用自带的模板：{error}。请在 Word 里检查双花括号里的名称，或删去这个文件")
    _render(OUR_TEMPLATES / name, context, path)


def _render(template: Path, context: dict[str, Any], path: Path) -> None:
    document = DocxTemplate(str(template))
    document.render(context, jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=True), autoescape=True)
    document.save(str(path))
