"""Dagster: assets, checks, jobs, schedules, sensors, one module a stage, in the data's order."""
