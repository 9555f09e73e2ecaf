"""What a change of the rules does, told on the command line and as a CSV file.

Belongs here: words. Does not belong here: comparing (``rule_diff``).
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from phqc_pipeline.catalogue import Catalogue
from phqc_pipeline.orchestration.rule_diff import RuleDiff

ROWS_SHOWN = 60


def describe_diff(told: RuleDiff, cat: Catalogue) -> str:
    """The comparison for a person: rules, findings by rule and institution with samples, scores."""
    found = told.findings
    counted = ("appears", "vanishes", "stays", "reworded")
    added, gone, kept, reworded = (int(found[name].sum()) for name in counted)
    changes = dict(told.rules.group_by("change").len().iter_rows())
    said = [
        f"数据日期 {told.day}，规则：" + ("，".join(f"{name} {changes[name]} 条" for name in changes) or "没有变化"),
        f"问题：出现 {added} 条，消失 {gone} 条，不变 {kept} 条（其中措辞或级别有变 {reworded} 条）",
    ]
    if not told.cross_judged:
        said.append("跨记录的规则、表单和代码都没有变，沿用最近一夜的结果")
    if not told.own_project:
        said.append("旧版的 dbt 项目今天的程序运行不了：旧版跨记录的规则也用现在的 dbt 项目判，比不出项目本身的改动")
    if told.uncompared:
        said.append(f"有一版判不了、未作比较的规则：{'、'.join(told.uncompared)}")
    titles = {rule.rule_id: rule.title for rule in cat.rules}
    change_of = dict(told.rules.iter_rows())
    moved = found.filter(pl.col("appears") + pl.col("vanishes") + pl.col("reworded") > 0)
    for row in moved.head(ROWS_SHOWN).iter_rows(named=True):
        rule_id = row["rule_id"]
        said.append(
            f"  {rule_id} {titles.get(rule_id, '')}{_marked(change_of.get(rule_id))} 机构 {row['institution_code']}："
            f"出现 {row['appears']}，消失 {row['vanishes']}，不变 {row['stays']}"
        )
        for name, word in (("appearing", "出现"), ("vanishing", "消失")):
            if row[name]:
                said.append(f"      {word}的例子：{'、'.join(row[name])}")
    if moved.height > ROWS_SHOWN:
        said.append(f"  ……另有 {moved.height - ROWS_SHOWN} 行，用 --out 另存全部")
    said.append("机构得分：")
    for row in told.scores.iter_rows(named=True):
        said.append(
            f"  {row['institution_code']}：{_moved(row['score_before'], row['score_after'])}，"
            f"记录平均分 {_moved(row['mean_before'], row['mean_after'])}，"
            f"合格记录 {row['passed_before'] or 0} → {row['passed_after'] or 0} / {row['records']}"
        )
    return "\n".join(said)


def _moved(before: float | None, after: float | None) -> str:
    before, after = before or 0.0, after or 0.0
    return f"{before:.2f} → {after:.2f}（{after - before:+.2f}）"


def write_csv(told: RuleDiff, path: Path) -> None:
    """Every rule and institution, one row each, for a spreadsheet."""
    joined = [pl.col(name).list.join("、") for name in ("appearing", "vanishing")]
    headers = {
        "rule_id": "规则编号",
        "institution_code": "机构编码",
        "appears": "出现",
        "vanishes": "消失",
        "stays": "不变",
        "reworded": "措辞或级别有变",
        "appearing": "出现的例子",
        "vanishing": "消失的例子",
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    told.findings.with_columns(joined).rename(headers).write_csv(path, include_bom=True)


def _marked(change: str | None) -> str:
    return f"（{change}）" if change else ""
