"""Stage 2, checks: what each record says for itself, with one asset check a form and dimension.

Belongs here: what Dagster shows of judging records. Does not belong here: judging (``checks``).
One asset check costs Dagster about 33 ms, so the checks are few and thick: the rules' own figures are the table in
each check's metadata, and in full ``qc.rule_result``.
"""

from collections.abc import Iterator, Mapping

import polars as pl
from dagster import (
    AssetCheckResult,
    AssetCheckSeverity,
    AssetCheckSpec,
    AssetExecutionContext,
    AssetsDefinition,
    MaterializeResult,
    asset,
)

from phqc_pipeline.catalogue import Catalogue
from phqc_pipeline.orchestration import stages
from phqc_pipeline.orchestration.partitions import IN_ORDER, SNAPSHOTS
from phqc_pipeline.orchestration.said import stage
from phqc_pipeline.orchestration.session_resource import SessionResource
from phqc_pipeline.orchestration.tables import as_table, snapshots

GROUP = "checks"
KEY = "record_judgement"

#: Check names must be plain words; the dimension's Chinese name stands in the description and the metadata.
DIMENSION_NAMES: Mapping[str, str] = {
    "完整性": "completeness",
    "规范性": "conformance",
    "逻辑性": "logic",
    "及时性/频次": "timeliness",
    "唯一性": "uniqueness",
    "一致性(跨表)": "consistency",
    "真实性": "authenticity",
    "报表核对": "reconciliation",
}


def record_judgement_asset(cat: Catalogue) -> AssetsDefinition:
    """The asset of the record rules. Check names are those of the catalogue at load: form × dimension."""
    groups = _groups(cat)
    specs = [
        AssetCheckSpec(
            name=_check_name(form_id, dimension),
            asset=KEY,
            description=f"{cat.forms[form_id].title}：{dimension}，{len(rules)} 条规则",
        )
        for (form_id, dimension), rules in groups.items()
    ]

    @asset(
        key=KEY,
        group_name=GROUP,
        partitions_def=SNAPSHOTS,
        backfill_policy=IN_ORDER,
        deps=["lake"],
        check_specs=specs,
        description="单条记录就能判定的规则（Pandera）：每批一次算完一张表的全部规则",
    )
    def record_judgement(
        context: AssetExecutionContext, session: SessionResource
    ) -> Iterator[MaterializeResult | AssetCheckResult]:
        with stage("判定单条记录", "看日志里是哪张表；规则出错只影响它自己，整步失败多为磁盘已满或数据湖文件损坏"):
            for day in snapshots(context, session.session):
                done = stages.judge_records(session.session, day, context.log.info)
            results = stages.record_results(session.session, day)
        yield MaterializeResult(
            metadata={
                "读入记录": done.records_read,
                "参加质控": done.records_judged,
                "规则×记录": done.evaluations,
                "问题": done.findings,
                "出错": "\n".join(done.errors) or "无",
            }
        )
        yield from _check_results(results, groups, cat)

    return record_judgement


def _groups(cat: Catalogue) -> dict[tuple[str, str], list[str]]:
    groups: dict[tuple[str, str], list[str]] = {}
    for form_id in cat.forms:
        for check in cat.checks(form_id):
            groups.setdefault((form_id, check.rule.dimension), []).append(check.rule.rule_id)
    return {group: sorted(set(rules)) for group, rules in groups.items()}


def _check_name(form_id: str, dimension: str) -> str:
    return f"{form_id}__{DIMENSION_NAMES[dimension]}"


def _check_results(
    results: pl.DataFrame, groups: Mapping[tuple[str, str], list[str]], cat: Catalogue
) -> Iterator[AssetCheckResult]:
    titles = {rule.rule_id: rule.title for rule in cat.rules}
    for (form_id, dimension), rules in groups.items():
        of_group = results.filter((pl.col("form_id") == form_id) & pl.col("rule_id").is_in(rules))
        by_rule = (
            of_group.group_by("rule_id")
            .agg(pl.col("applicable", "violated").sum(), pl.col("status").is_in(["error", "not_evaluable"]).sum())
            .rename({"status": "unjudged"})
            .sort("violated", "rule_id", descending=[True, False])
        )
        errors = of_group.filter(pl.col("status") == "error").height
        violated = int(by_rule["violated"].sum())
        worst = by_rule.filter(pl.col("violated") > 0).select(
            pl.col("rule_id").alias("规则"),
            pl.col("rule_id").replace_strict(titles, default="", return_dtype=pl.String).alias("名称"),
            pl.col("violated").alias("命中"),
            pl.col("applicable").alias("适用"),
        )
        yield AssetCheckResult(
            asset_key=KEY,
            check_name=_check_name(form_id, dimension),
            passed=violated == 0 and errors == 0,
            severity=AssetCheckSeverity.ERROR if errors else AssetCheckSeverity.WARN,
            metadata={
                "维度": dimension,
                "规则数": len(rules),
                "命中": violated,
                "未能判定（机构×规则）": int(by_rule["unjudged"].sum()),
                "出错": errors,
                "命中最多的规则": as_table(worst),
            },
        )
