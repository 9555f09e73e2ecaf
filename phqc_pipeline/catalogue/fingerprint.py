"""Stable fingerprints: of a form's reading, of a rule, of the whole catalogue.

Belongs here: what a fingerprint covers and how it is computed. A fingerprint is the SHA-256 of canonical JSON, so it is
the same on every machine and Python, whatever the order or layout of the YAML; where things are written (``place``)
never counts. Does not belong here: what a changed fingerprint leads to.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from datetime import date
from functools import lru_cache
from typing import Any

from phqc_pipeline.catalogue.model import CodeList, Derived, Form, Rule

# What a rule judges and says. Not: its title, basis, examples, notes, or the forms it happens to reach.
_RULE_PARTS = (
    "rule_id",
    "version",
    "forms",
    "carrier",
    "dimension",
    "severity",
    "grain",
    "params",
    "when",
    "assertion",
    "violated",
    "per_field",
    "field",
    "message",
    "suggestion",
    "expected",
    "valid_from",
    "valid_to",
    "suppressed_by",
    "optional_columns",
    "root",
    "model",
    "reads",
    "period_scoped",
)
_READING_PARTS = ("name", "title", "synonyms", "type", "codes", "text_values", "required", "absent_ok")
_PLAIN = frozenset({str, int, bool, type(None)})
_WORD = re.compile(r"[a-z_][a-z0-9_]*")
_EXPRESSIONS = frozenset({"when", "assertion", "violated", "expression", "expr", "required_when"})


def digest(value: Any) -> str:
    """SHA-256 (hex) of the canonical JSON of plain values, dates, mappings, sets and this package's dataclasses."""
    text = json.dumps(canonical(value), ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def canonical(value: Any) -> Any:
    """``value`` as JSON can hold it: dataclasses as mappings without ``place``, sets sorted, dates as ISO text."""
    kind = type(value)
    if kind in _PLAIN:
        return value
    if kind is tuple or kind is list:
        return [canonical(entry) for entry in value]
    if isinstance(value, Mapping):
        return {str(key): canonical(entry) for key, entry in value.items()}
    if kind is float:
        return int(value) if value.is_integer() else value  # 7.0 and 7 are the same threshold
    if isinstance(value, (set, frozenset)):
        return sorted((canonical(entry) for entry in value), key=str)
    if isinstance(value, date):
        return value.isoformat()
    return {name: _part(name, getattr(value, name)) for name in _part_names(kind)}  # type: ignore[arg-type]


def rule_fingerprint(rule: Rule, derived: Mapping[str, Derived]) -> str:
    """Changes when the rule's expression, a derived name in it, a parameter, its message or its validity changes."""
    parts = {name: _part(name, getattr(rule, name)) for name in _RULE_PARTS}
    if rule.suggestion:
        parts["suggestion"] = {"text": rule.suggestion.text, "expr": rule.suggestion.expr}
    computed = rule.suggestion.expr if rule.suggestion else None
    texts = (rule.when, rule.assertion, rule.violated, rule.message, computed)
    parts["derived"] = {name: _meaning(derived[name]) for name in derived_in(texts, derived)}
    return digest(parts)


def form_fingerprint(form: Form, codes: Mapping[str, CodeList]) -> str:
    """Changes when reading a file of this form would: names, headers, types, code lists, text values, repeats."""
    parts: dict[str, Any] = {"form_id": form.form_id, "names": form.names}
    parts["repeats"] = form.repeats
    parts["fields"] = [{name: getattr(column, name) for name in _READING_PARTS} for column in form.fields]
    used = sorted({column.codes for column in form.fields if column.codes and column.codes in codes})
    parts["codes"] = {list_id: codes[list_id].spellings for list_id in used}
    return digest(parts)


def catalogue_fingerprint(parts: Iterable[Any]) -> str:
    """Over everything the catalogue holds: forms, codes, derived names, rules, reports, schemes, plans, settings, and
    the digest of the growth figures."""
    return digest(list(parts))


def derived_in(texts: Iterable[str | None], derived: Mapping[str, Derived]) -> list[str]:
    """Derived names that occur in ``texts``, and those their own expressions are built of; sorted."""
    found: set[str] = set()
    waiting = [text for text in texts if text]
    while waiting:
        for word in set(_WORD.findall(waiting.pop())) & derived.keys() - found:
            found.add(word)
            waiting.append(derived[word].expr)
    return sorted(found)


@lru_cache(maxsize=64)
def _part_names(kind: type) -> tuple[str, ...]:
    return tuple(part.name for part in dataclasses.fields(kind) if part.name != "place")


def _part(name: str, value: Any) -> Any:
    if name in _EXPRESSIONS and isinstance(value, str):
        return _squeezed(value)
    return canonical(value)


def _meaning(derived: Derived) -> Any:
    expression = _squeezed(derived.expr)
    return [expression, sorted(derived.optional_columns)] if derived.optional_columns else expression


def _squeezed(text: str) -> str:
    """An expression without the line breaks and indents of its layout."""
    return re.sub(r"\s*\n\s*", " ", text).strip()
