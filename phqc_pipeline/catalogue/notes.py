"""``rules/dimensions.yaml``: what dimensions and severities mean to people, for the rule handbook.

Belongs here: reading and checking that file. Does not belong here: anything a judgement depends on, which is why the
catalogue is loaded without it and no fingerprint covers it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from phqc_pipeline.catalogue.faults import CatalogueError, closest
from phqc_pipeline.catalogue.model import DIMENSIONS, SEVERITIES, Place
from phqc_pipeline.catalogue.reading import Reader, place_of
from phqc_pipeline.catalogue.schema import Closed, Text
from phqc_pipeline.catalogue.yaml_lines import Document

DIMENSIONS_FILE = "dimensions.yaml"


class DimensionIn(Closed):
    dimension: Text
    meaning: Text
    why: Text
    who: Text
    how: Text


class SeverityIn(Closed):
    severity: Text
    meaning: Text


class DimensionsIn(Closed):
    dimensions: list[Any]
    severities: list[Any]


@dataclass(frozen=True)
class DimensionNote:
    """What rules of one dimension ask, why it matters, who puts a finding right, and how."""

    meaning: str
    why: str
    who: str
    how: str


@dataclass(frozen=True)
class Notes:
    """``dimensions``: dimension → note; ``severities``: severity → what it means. Empty without the file."""

    dimensions: Mapping[str, DimensionNote]
    severities: Mapping[str, str]


def read_notes(directory: Path) -> Notes:
    """The notes of a catalogue folder; CatalogueError with every fault. A folder without the file has none."""
    reader = Reader(Path(directory))
    dimensions: dict[str, DimensionNote] = {}
    severities: dict[str, str] = {}
    document = reader.document(DIMENSIONS_FILE, required=False)
    top = reader.check(DimensionsIn, document.data, document, (), "") if document else None
    if document and top:
        _read_dimensions(reader, document, top.dimensions, dimensions)
        _read_severities(reader, document, top.severities, severities)
    if reader.faults:
        raise CatalogueError(reader.faults)
    return Notes(dimensions, severities)


def _read_dimensions(reader: Reader, document: Document, raw: list[Any], found: dict[str, DimensionNote]) -> None:
    places: dict[str, Place] = {}
    for index, value in enumerate(raw):
        path = ("dimensions", index)
        entry = reader.check(DimensionIn, value, document, path, f"维度第 {index + 1} 条")
        if entry and _known(reader, document, path, "dimension", entry.dimension, DIMENSIONS, places):
            found[entry.dimension] = DimensionNote(entry.meaning, entry.why, entry.who, entry.how)
    _all_there(reader, document, "dimensions", DIMENSIONS, places)


def _read_severities(reader: Reader, document: Document, raw: list[Any], found: dict[str, str]) -> None:
    places: dict[str, Place] = {}
    for index, value in enumerate(raw):
        path = ("severities", index)
        entry = reader.check(SeverityIn, value, document, path, f"级别第 {index + 1} 条")
        if entry and _known(reader, document, path, "severity", entry.severity, SEVERITIES, places):
            found[entry.severity] = entry.meaning
    _all_there(reader, document, "severities", SEVERITIES, places)


def _known(
    reader: Reader,
    document: Document,
    path: tuple[str, int],
    key: str,
    name: str,
    names: tuple[str, ...],
    places: dict[str, Place],
) -> bool:
    if name not in names:
        near = closest(name, names)
        remedy = f"是否应为“{near}”？" if near else f"可写：{'、'.join(names)}"
        reader.fault(document, (*path, key), "", f"没有“{name}”", remedy)
        return False
    return reader.unique(places, name, place_of(document, (*path, key)), "", "每个只写一条，删去多余的")


def _all_there(
    reader: Reader, document: Document, key: str, names: tuple[str, ...], places: Mapping[str, Place]
) -> None:
    lacking = [name for name in names if name not in places]
    if lacking and not reader.faults:
        reader.fault(document, (key,), "", f"没有说明：{'、'.join(lacking)}", "各补一条")
