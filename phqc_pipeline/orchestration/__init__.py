"""Dagster: assets, checks, jobs, schedules, sensors, one module a stage, in the data's order."""

import warnings

from dagster import BetaWarning

# Dagster calls backfill policies beta; pinned by the lock, so a warning on every start tells an operator nothing.
warnings.filterwarnings("ignore", category=BetaWarning)
