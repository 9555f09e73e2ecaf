"""What Dagster loads (`workspace.yaml`): the pipeline of the home that PHQC_HOME names, or of data/."""

from phqc_pipeline.catalogue import load_catalogue
from phqc_pipeline.home import resolve_home, resolve_rules
from phqc_pipeline.orchestration.jobs import build_definitions

defs = build_definitions(resolve_home(), load_catalogue(resolve_rules()))
