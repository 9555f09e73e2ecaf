"""The one partitioning of the pipeline: by snapshot date.

An institution is a column, never a partition: institutions × days would be millions.
"""

from __future__ import annotations

from dagster import BackfillPolicy, DailyPartitionsDefinition

#: From the first year of 国家基本公共卫生服务项目; ``end_offset`` makes today a valid key.
SNAPSHOTS = DailyPartitionsDefinition(start_date="2009-01-01", end_offset=1, timezone="Asia/Shanghai")

#: A backfill over past dates is one run that goes through them in order, since each night builds on those before.
IN_ORDER = BackfillPolicy.single_run()
