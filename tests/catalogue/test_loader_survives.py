"""Whatever is done to the YAML, loading ends in a catalogue or in faults that can be acted on, never in a traceback."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from phqc_pipeline.catalogue import CatalogueError
from tests.catalogue.small_catalogue import FILES, Small

# In place of a value: nothing, a list, a mapping, a number, a truth, a date, text of the wrong kind, bare punctuation.
JUNK = ("", "[]", "[1, [2]]", "{a: {b: 1}}", "-1.5", "true", "2024-01-01", "甲 乙", "*", "'{'", "[null]", "~")


@pytest.mark.parametrize("name", FILES)
def test_every_line_dropped_or_the_last(small: Small, name: str) -> None:
    lines = FILES[name].splitlines(keepends=True)
    for number in range(len(lines)):
        load_or_faults(small, name, "".join(lines[:number] + lines[number + 1 :]))
        if number % 4 == 0:
            load_or_faults(small, name, "".join(lines[:number]))


@pytest.mark.parametrize("name", FILES)
def test_every_value_replaced(small: Small, name: str) -> None:
    outcomes = [load_or_faults(small, name, text) for text in with_a_value_replaced(FILES[name])]
    assert sum(count > 0 for count in outcomes) > len(outcomes) / 2  # most junk is a fault


def with_a_value_replaced(text: str) -> Iterator[str]:
    """The text with one value after another replaced, the kinds of junk taking turns."""
    values = re.finditer(r"(?<=: )[^\s,{}\[\]][^,{}\[\]\n]*|(?<=: )\[[^\]\n]*\]", text)
    for number, found in enumerate(values):
        yield text[: found.start()] + JUNK[number % len(JUNK)] + text[found.end() :]


def load_or_faults(small: Small, name: str, text: str) -> int:
    """How many faults the text has; every one of them must say where it is and what to do."""
    small.write(name, text)
    try:
        small.load()
    except CatalogueError as error:
        faults = error.faults
    else:
        return 0
    assert faults
    assert all(fault.file and fault.problem and fault.remedy and fault.line >= 0 for fault in faults)
    return len(faults)
