"""The catalogue: ``rules/`` as typed, checked, fingerprinted objects. Imports nothing else of the project.

``load_catalogue`` reads and checks everything once; every other package is handed the object.
"""

from phqc_pipeline.catalogue.faults import CatalogueError, Fault
from phqc_pipeline.catalogue.loader import load_catalogue
from phqc_pipeline.catalogue.model import (
    Catalogue,
    CodeList,
    Context,
    Field,
    Form,
    Plan,
    Report,
    Rule,
    RuleCheck,
    Sampling,
    Scheme,
)
from phqc_pipeline.catalogue.profiles import for_plan, with_profile

__all__ = [
    "Catalogue",
    "CatalogueError",
    "CodeList",
    "Context",
    "Fault",
    "Field",
    "Form",
    "Plan",
    "Report",
    "Rule",
    "RuleCheck",
    "Sampling",
    "Scheme",
    "for_plan",
    "load_catalogue",
    "with_profile",
]
