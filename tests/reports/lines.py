"""Lines of a workbook made by hand, in any number."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import polars as pl

from phqc_pipeline.reports.facts import InstitutionFacts
from phqc_pipeline.reports.lines import LINE_SCHEMA


def made_lines(count: int, doctors: int = 3, forms: int = 2, **columns: Any) -> pl.DataFrame:
    """``count`` lines of so many doctors and forms, as ``read_lines`` gives them; ``columns`` replace what is usual."""
    number = pl.int_range(count)
    usual = {
        "finding_id": pl.format("{}", number + 10**9),
        "severity": pl.when(number % 3 == 0).then(pl.lit("严重")).otherwise(pl.lit("一般")),
        "form_title": pl.format("第{}号随访服务记录表", number % forms),
        "doctor_name": pl.format("医生{}", number % doctors),
        "person_name": pl.format("居民{}", number % 977),
        "archive_no": pl.format("654301104{}", number + 10_000_000),
        "service_date": pl.lit(date(2024, 5, 1)) + pl.duration(days=number % 200),
        "field_title": pl.lit("此次随访分类"),
        "observed": pl.lit("1 控制满意"),
        "expected": pl.lit("2 控制不满意"),
        "message": pl.format(
            "血压 {}/95 未达标，分类不应为“控制满意”，请核对血压和分类，并在两周内再次随访。", number % 60 + 140
        ),
        "basis": pl.lit("国家基本公共卫生服务规范（第三版）·高血压患者健康管理服务规范"),
        "suggestion": pl.lit("控制不满意"),
        "rule_id": pl.lit("HTN-L-001"),
        "record_id": pl.format("GX{}", number + 10**12),
        "source_path": pl.lit("landing/654301104901/2024-12-31/高血压患者随访服务记录表_2024.csv"),
        "row_number": number + 2,
        "place_count": pl.lit(1),
        "first_seen": pl.lit(date(2024, 12, 1)),
        "state": pl.lit("open"),
        "state_title": pl.lit("待整改"),
        "id_number": pl.format("65430119500101{}", number % 9000 + 1000),
    }
    frame = pl.select(**{**usual, **columns})
    missing = [pl.lit(None, kind).alias(name) for name, kind in LINE_SCHEMA.items() if name not in frame.columns]
    return (
        frame.with_columns(*missing)
        .select(pl.col(name).cast(kind) for name, kind in LINE_SCHEMA.items())
        .sort("doctor_name", "form_title", maintain_order=True)
    )


def no_facts(**told: Any) -> InstitutionFacts:
    """Facts of an institution where nothing was judged or found, but for what is ``told``."""
    levels = {"severe": pl.Int64, "ordinary": pl.Int64, "hint": pl.Int64}
    quality = {"records": pl.Int64, "records_failed": pl.Int64, "pass_rate": pl.Float64, "score": pl.Float64,
               "findings": pl.Int64, **levels}  # fmt: skip
    empty: dict[str, Any] = {
        "institution_code": "1", "institution_name": "甲乡卫生院", "level": "乡镇", "snapshot": date(2024, 12, 31),
        "published_at": datetime.fromisoformat("2025-01-01T02:30:00"), "run_id": "r",
        "scheme": {"title": "基本方案", "deductions": {"严重": 10.0}, "passes_without": ["严重"]},
        "by_form": pl.DataFrame(schema={"form_id": pl.String, "form_title": pl.String, **quality}),
        "by_dimension": pl.DataFrame(schema={"dimension": pl.String, "findings": pl.Int64, **levels}),
        "by_doctor": pl.DataFrame(schema={"doctor_name": pl.String, **quality}),
        "worst_rules": pl.DataFrame(), "trend": pl.DataFrame(schema={"snapshot_date": pl.Date, **levels}),
        "states": {}, "ages": pl.DataFrame(schema={"age_class": pl.String, **levels}), "fixed_days": None,
        "peers": pl.DataFrame(schema={"institution_code": pl.String, "score": pl.Float64}),
        "not_judged": pl.DataFrame(), "files": pl.DataFrame(), "reconciliation": pl.DataFrame(), "not_recomputed": 0,
        "indicators": pl.DataFrame(), "charges": pl.DataFrame(),
    }  # fmt: skip
    return InstitutionFacts(**{**empty, **told})
