"""An entry that breaks its kind's shape, put into shape for the sake of the checks that follow.

A misspelt key or a severity that does not exist says nothing about the entry's expression or examples: those are still
to be checked, so that whoever wrote it learns everything at once. The stand-in never comes to be used, for its faults
are noted and a catalogue with a fault does not load.

Belongs here: what may be put in a faulty key's place without bringing forth faults of its own. Does not belong here:
the faults themselves (``schema``).
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel

from phqc_pipeline.catalogue.faults import closest

#: Optional keys that no check needs: left out where their value cannot be used.
_NEEDLESS = frozenset({"hard", "soft", "unit", "note", "equivalent_mutants"})
#: Texts for people: any other text does as well.
_WORDS = frozenset({"title", "basis", "message", "source"})
_ANY_WORDS = "…"


def stand_in(
    kind: type[BaseModel],
    value: Mapping[str, Any],
    complaints: Sequence[Any],
    nearest: Callable[[Any], Sequence[Any] | None],
) -> dict[str, Any]:
    """A copy of ``value`` with what ``complaints`` are about put right; what cannot be is left as it is.

    ``nearest``: the place of the key that an unknown key was probably meant to be, or None.
    """
    mended: dict[str, Any] = copy.deepcopy(dict(value))
    for complaint in complaints:
        *inside, key = complaint["loc"] or ("",)
        holder = _at(mended, inside)
        if isinstance(holder, dict):
            _mend(kind if not inside else None, holder, str(key), complaint, nearest(complaint))
    return mended


def _mend(
    kind: type[BaseModel] | None, holder: dict[str, Any], key: str, complaint: Any, meant: Sequence[Any] | None
) -> None:
    sort = complaint["type"]
    if sort == "extra_forbidden":
        said = holder.pop(key, None)
        if meant and meant[-1]:
            holder.setdefault(str(meant[-1]), said)
    elif sort == "literal_error" and key in holder:
        allowed = [word.strip().strip("'") for word in complaint["ctx"]["expected"].replace(" or ", ", ").split(", ")]
        holder[key] = closest(str(holder[key]), allowed) or allowed[0]
    elif sort == "bool_type":
        holder[key] = False
    elif key in _NEEDLESS:
        holder.pop(key, None)
    elif key in _WORDS:
        holder[key] = _ANY_WORDS
    elif sort == "missing" and kind is not None and key in kind.model_fields:
        annotation = kind.model_fields[key].annotation
        if get_origin(annotation) is Literal:
            holder[key] = get_args(annotation)[0]
        elif annotation is bool:
            holder[key] = False


def _at(value: Any, inside: Sequence[Any]) -> Any:
    for part in inside:
        try:
            value = value[part]
        except (KeyError, IndexError, TypeError):
            return None
    return value
