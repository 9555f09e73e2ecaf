"""Record rules: what one record decides by itself, judged batch by batch from the lake and carried by Pandera.

``judge_records`` is the night's evaluation; ``schema_for`` the same rules as a Pandera schema anyone can run.
"""

from phqc_pipeline.checks.findings import FINDING_SCHEMA
from phqc_pipeline.checks.masking import mask_numbers, mask_personal
from phqc_pipeline.checks.present import PRESENT_SCHEMA
from phqc_pipeline.checks.results import NOT_RECEIVED, RESULT_SCHEMA, STATUSES
from phqc_pipeline.checks.runner import RecordJudgement, judge_records
from phqc_pipeline.checks.sampling import SAMPLE_SCHEMA, draw_sample
from phqc_pipeline.checks.schemas import RecordSchema, schema_for

__all__ = [
    "FINDING_SCHEMA",
    "NOT_RECEIVED",
    "PRESENT_SCHEMA",
    "RESULT_SCHEMA",
    "SAMPLE_SCHEMA",
    "STATUSES",
    "RecordJudgement",
    "RecordSchema",
    "draw_sample",
    "judge_records",
    "mask_numbers",
    "mask_personal",
    "schema_for",
]
