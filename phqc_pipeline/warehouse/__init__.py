"""The warehouse: staging and cross rules in dbt, nights on disk, the life of findings, marts, publishing.

A night calls, in this order: ``stage``, ``run_cross``, ``assemble_night``, ``fold``, ``read_recomputed`` (for
billing), ``build_marts``, ``publish``. Each is a plain function of what lies in the home and what it is handed; what it
leaves is complete or not there. No connection to the working DuckDB file may be open while one of them runs.
"""

from phqc_pipeline.warehouse.cross import CrossJudgement, run_cross
from phqc_pipeline.warehouse.dbt_runner import DbtError, DbtRun, NodeResult, parse_project, run_dbt
from phqc_pipeline.warehouse.files import recover_folders
from phqc_pipeline.warehouse.kept import keep_versions
from phqc_pipeline.warehouse.life import fold
from phqc_pipeline.warehouse.marts import MartError, build_marts, read_recomputed
from phqc_pipeline.warehouse.night import (
    assemble_night,
    findings_digest,
    input_fingerprint,
    leading_night,
    list_nights,
    named_findings_sql,
    part_of,
    read_night,
)
from phqc_pipeline.warehouse.publishing import Published, PublishError, publish
from phqc_pipeline.warehouse.staging import prepare_project, stage

__all__ = [
    "CrossJudgement",
    "DbtError",
    "DbtRun",
    "MartError",
    "NodeResult",
    "PublishError",
    "Published",
    "assemble_night",
    "build_marts",
    "findings_digest",
    "fold",
    "input_fingerprint",
    "keep_versions",
    "leading_night",
    "list_nights",
    "named_findings_sql",
    "parse_project",
    "part_of",
    "prepare_project",
    "publish",
    "read_night",
    "read_recomputed",
    "recover_folders",
    "run_cross",
    "run_dbt",
    "stage",
]
