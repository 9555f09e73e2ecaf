"""What is said of a sample once it is written: the summary, the answer key, the page that goes with both.

Belongs here: their shapes and words. Does not belong here: what is counted (``write``).
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass, field
from datetime import date

from phqc_pipeline.home import Home
from phqc_pipeline.sample.faults.truth import Finding
from phqc_pipeline.sample.faults.unshown import UNSHOWN
from phqc_pipeline.sample.places import FOUNDING_ELECTRONIC, LARGE, Institution

RATE = 2_000.0  # records of a form to one fault of a rule, where there are that many
KEY_COLUMNS = (
    "rule_id", "form_id", "record_id", "field", "institution_code", "subject_kind", "subject_id", "cause",
)  # fmt: skip


@dataclass
class SampleSummary:
    """What was written. ``records`` and ``faults`` by form and rule; ``without_fault``: rules nobody stands for
    though an extract could show them (``UNSHOWN``)."""

    home: Home
    snapshot: date
    institutions: int
    residents: int = 0
    files: int = 0
    records: dict[str, int] = field(default_factory=dict)
    faults: dict[str, int] = field(default_factory=dict)
    key_entries: int = 0
    without_fault: list[str] = field(default_factory=list)
    electronic: dict[str, int] = field(default_factory=dict)

    def describe(self) -> str:
        """A few lines in Chinese for the terminal."""
        lines = [
            f"示范数据已写入 {self.home.root}：{self.institutions} 家机构，{self.residents} 份档案，"
            f"{self.files} 个文件，快照日期 {self.snapshot.isoformat()}。",
            f"共 {sum(self.records.values())} 条记录，埋入差错 {sum(self.faults.values())} 处，"
            f"答案 {self.key_entries} 条（{self.home.sample / 'answer_key.csv'}）。",
        ]
        if self.without_fault:
            lines.append(f"没有埋入差错的规则：{'、'.join(self.without_fault)}。")
        return "\n".join(lines)


def key_entry(finding: Finding, place: Institution, injected: bool) -> dict[str, str]:
    """A line of the answer key. ``injected``: put in on purpose, not come of something else that was."""
    return {
        "rule_id": finding.rule_id,
        "form_id": finding.form_id,
        "record_id": finding.record_id,
        "field": finding.field,
        "institution_code": place.code,
        "subject_kind": finding.subject_kind,
        "subject_id": finding.subject_id,
        "cause": "injected" if injected else "collateral",
    }


def write_key(home: Home, key: list[dict[str, str]]) -> None:
    """Write the answer key, one line a finding, into the home's ``sample/``."""
    home.sample.mkdir(parents=True, exist_ok=True)
    text = io.StringIO()
    writer = csv.DictWriter(text, KEY_COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(key)
    (home.sample / "answer_key.csv").write_text(text.getvalue(), encoding="utf-8")


def readme(summary: SampleSummary, institutions: int, residents: int | None, seed: int) -> str:
    """What the folder holds and at which rates faults were put in."""
    reasons = sorted((rule_id, why) for rule_id, why in UNSHOWN.items() if rule_id not in summary.faults)
    unshown = "\n".join(f"| {rule_id} | {why} |" for rule_id, why in reasons)
    faults = "\n".join(f"| {rule_id} | {count} |" for rule_id, count in sorted(summary.faults.items()))
    charged = "\n".join(f"| {code} | {count} |" for code, count in summary.electronic.items())
    size = f" --residents {residents}" if residents else ""
    command = f"phqc sample --institutions {institutions}{size} --date {summary.snapshot} --seed {seed}"
    return f"""# 示范数据

全部人物、证号、电话都是编造的。同样的参数和规则库写出逐字节相同的文件：

`{command}`

- `landing/`、`registry/`：各机构交付的文件和登记资料，格式、编码、表头、日期写法各不相同。
- `registry/service_request.csv`：编造的服务请求，有按时答复的、超过时限的、还没办完的；`registry/refund.csv`（不止一家
  机构时）：末一家多付款项的退款。
- `sample/answer_key.csv`：数据里应被判出的全部问题。`cause` 为 `injected` 的是有意埋入的差错，`collateral` 是随之
  而来的其他问题。`record_id` 为空而 `subject_kind` 为 `record` 的，是没有记录编号的行，`subject_id` 是其内容哈希。

## 差错率

- 首家合同机构（{FOUNDING_ELECTRONIC} 份电子档案）：每条规则每 {int(RATE)} 条记录一处，至少一处；按字段展开的规则，
  每个字段至少一处。
- 其他 {LARGE} 人以上的机构：每条规则每 {int(RATE)} 条记录一处（排在首位的机构至少一处）。
- 更小的机构：规则在各机构间分派，每条一处（按字段展开的取一个字段）。任何一张表至多四分之三的记录有差错。
- 记录比差错少的表（如突发事件报告卡、肺结核首次入户），一条记录埋几处差错，每一处都在答案里。
- 整家机构的差错（如随访集中在月末）每条规则埋在一张表里；编造记录的医生（AUT-A-001、002、004、005、010、016、019、
  020、023、033）每条规则每张表一名，够 50 条记录的机构才有。按错误发现率判的规则（AUT-A-001 等）只把编造者写进答案。
- 报表差错（RPT-R-*、VAC-R-001）只埋在非计费期间。

## 计费年度电子档案数

| 机构 | 份数 |
|---|---|
{charged}

## 埋入的差错

| 规则 | 处数 |
|---|---|
{faults}

## 示范数据里不可能出现的规则

| 规则 | 原因 |
|---|---|
{unshown}
"""
