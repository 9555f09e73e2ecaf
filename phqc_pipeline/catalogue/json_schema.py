"""JSON Schema of every kind of YAML under ``rules/``, for editors: completion, words for each key, misspelt keys.

Belongs here: which file is of which kind, and the schemas made from the models of ``schema``. Does not belong here:
what a key means (``schema_words``), what only the loader can judge: names that must exist, expressions.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from phqc_pipeline.catalogue import billing_terms, indicators, notes, schema, verification
from phqc_pipeline.catalogue.deliveries import REPAIRS_FILE
from phqc_pipeline.catalogue.model import SEVERITIES
from phqc_pipeline.catalogue.reading import DERIVED_FILE, ENVELOPE_FILE, SETTINGS_FILE
from phqc_pipeline.catalogue.schema import Closed
from phqc_pipeline.catalogue.schema_words import WORDS

FOLDER = "json_schema"  # beside the YAML, so that a relative path finds it wherever the catalogue lies
_DIALECT = "https://json-schema.org/draft/2020-12/schema"


@dataclass(frozen=True)
class Kind:
    """One kind of YAML file. ``listed``: the key under which a file lists entries of the model, if it does."""

    name: str
    files: str
    model: type[Closed]
    listed: str = ""

    @property
    def file(self) -> str:
        return f"{self.name}.json"


KINDS = (
    Kind("envelope", ENVELOPE_FILE, schema.EnvelopeIn),
    Kind("form", "forms/[a-z]*.yaml", schema.FormIn),
    Kind("codes", "codes/*.yaml", schema.CodeListIn, "lists"),
    Kind("derived", DERIVED_FILE, schema.DerivedIn, "derived"),
    Kind("checks", "checks/*.yaml", schema.RuleIn, "rules"),
    Kind("report", "reports/*.yaml", schema.ReportIn),
    Kind("indicators", "indicators/*.yaml", indicators.IndicatorIn, "indicators"),
    Kind("services", indicators.SERVICES_FILE, indicators.ServiceIn, "services"),
    Kind("scheme", "schemes/*.yaml", schema.SchemeIn),
    Kind("plan", "plans/*.yaml", schema.PlanIn),
    Kind("profile", "profiles/*.yaml", schema.ProfileIn),
    Kind("source", "sources/*.yaml", schema.SourceIn),
    Kind("repairs", REPAIRS_FILE, schema.RepairsIn),
    Kind("settings", SETTINGS_FILE, schema.SettingsIn),
    Kind("pricing", billing_terms.BILLING_FILE, billing_terms.BillingIn),
    Kind("verification", verification.VERIFICATION_FILE, verification.VerificationIn),
    Kind("dimensions", notes.DIMENSIONS_FILE, notes.DimensionsIn),
)

# Lists that the models leave open, because the loader checks their entries one by one: model, key → entry.
_ENTRIES: dict[tuple[str, str], type[Closed]] = {
    ("EnvelopeIn", "fields"): schema.FieldIn,
    ("FormIn", "fields"): schema.FieldIn,
    ("CodeListIn", "codes"): schema.CodeIn,
    ("ReportIn", "items"): schema.ReportItemIn,
    ("BillingIn", "pricing"): billing_terms.PricingIn,
    ("DimensionsIn", "dimensions"): notes.DimensionIn,
    ("DimensionsIn", "severities"): notes.SeverityIn,
}
_RECORD = {"type": "object", "minProperties": 1}
# What the loader's own checks ask of a key, where a schema can say it.
_SHARPER: dict[tuple[str, str], dict[str, Any]] = {
    ("FieldIn", "type"): {"pattern": r"^(s\(\d+\)|dec\(\d+, ?\d+\)|int|date|ym|dt|code|multi)$"},
    ("RuleIn", "id"): {"pattern": r"^[A-Z]{2,4}-[A-Z]-\d{3}$"},
    ("IndicatorIn", "id"): {"pattern": r"^I-\d{2}(\.[a-z][a-z0-9_]*)?$"},
    ("ExamplesIn", "pass"): {"items": _RECORD},
    ("ExamplesIn", "fail"): {"items": _RECORD},
    ("SchemeIn", "deductions"): {
        "properties": {severity: {"type": "number", "minimum": 0} for severity in SEVERITIES},
        "required": list(SEVERITIES),
        "additionalProperties": False,
    },
}
# Of which keys exactly one must be there.
_ONE_OF = {"RequiredIn": ("when", "note"), "SuggestionIn": ("text", "expr"), "RequirementIn": ("is", "when")}


def write_schemas(directory: Path) -> list[Path]:
    """Every kind's schema into ``directory``; the files, in the order of ``KINDS``."""
    directory.mkdir(parents=True, exist_ok=True)
    written = []
    for kind in KINDS:
        path = directory / kind.file
        path.write_text(schema_text(kind), encoding="utf-8")
        written.append(path)
    return written


def schema_text(kind: Kind) -> str:
    """The schema of one kind as its file holds it."""
    return json.dumps(schema_of(kind), ensure_ascii=False, indent=1) + "\n"


def schema_of(kind: Kind) -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of one kind of file."""
    definitions: dict[str, Any] = {}
    _define(kind.model, definitions)
    entry = {"$ref": f"#/$defs/{kind.model.__name__}"}
    head = {"$schema": _DIALECT, "title": f"rules/{kind.files}", "description": WORDS[kind.model.__name__][""]}
    if not kind.listed:
        return {**head, **entry, "$defs": definitions}
    text = {"type": "string"}
    return {
        **head,
        "type": "object",
        "properties": {kind.listed: {"type": "array", "minItems": 1, "items": entry}, "title": text, "note": text},
        "required": [kind.listed],
        "additionalProperties": False,
        "$defs": definitions,
    }


def _define(model: type[Closed], definitions: dict[str, Any]) -> None:
    """The model and every model it holds, each once under its name."""
    made = model.model_json_schema(by_alias=True, ref_template="#/$defs/{model}")
    parts = {**made.pop("$defs", {}), model.__name__: made}
    for name, part in parts.items():
        if name not in definitions:
            definitions[name] = _worded(name, part)
            for key in part["properties"]:
                entry = _ENTRIES.get((name, key))
                if entry is not None:
                    _define(entry, definitions)


def _worded(name: str, part: dict[str, Any]) -> dict[str, Any]:
    """A model's schema with our words for pydantic's, its lists' entries named, and what a schema can say beside."""
    words = WORDS[name]
    properties: dict[str, Any] = {}
    for key, made in part["properties"].items():
        kept = {word: value for word, value in _plain(made).items() if word not in ("title", "description", "default")}
        entry = _ENTRIES.get((name, key))
        if entry is not None:
            kept["items"] = {"$ref": f"#/$defs/{entry.__name__}"}
        kept |= _SHARPER.get((name, key), {})
        default = made.get("default")
        if isinstance(default, (bool, int, float)) or (isinstance(default, str) and default):
            kept["default"] = default
        properties[key] = {"description": words[key], **kept}
    said: dict[str, Any] = {"type": "object", "description": words[""], "properties": properties}
    if part.get("required"):
        said["required"] = part["required"]
    if name in _ONE_OF:
        said["oneOf"] = [{"required": [key]} for key in _ONE_OF[name]]
    return {**said, "additionalProperties": False}


def _plain(made: Any) -> Any:
    """Without the titles that pydantic makes of names."""
    if isinstance(made, list):
        return [_plain(entry) for entry in made]
    if not isinstance(made, dict):
        return made
    return {key: _plain(value) for key, value in made.items() if key != "title" or not isinstance(value, str)}
