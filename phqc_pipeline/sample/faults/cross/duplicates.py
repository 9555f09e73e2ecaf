"""Archives that look like those of one person."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import permutations

import polars as pl

from phqc_pipeline.catalogue import Rule
from phqc_pipeline.sample.faults.cross.core import normal_name
from phqc_pipeline.sample.faults.truth import Finding, Judgement, Truth, people_of, valid_numbers


def _same_person(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    """Groups by what must be the same, then every pair in them by the rest."""
    same_name = rule.params["alike"] == "same name"
    key = ["_name", "birth_date", "sex_code"] if same_name else ["birth_date", "sex_code", "village_name", "phone"]
    rows = truth.rows[form_id].drop_nulls(["archive_no", "person_name", "birth_date", "sex_code"])
    rows = rows.with_columns(
        pl.Series("_name", [normal_name(one) for one in rows["person_name"].to_list()], pl.String),
        pl.Series("_valid", valid_numbers(rows["id_card_no"])),
        pl.col("id_card_no").str.to_uppercase(),
    )
    if not same_name:
        rows = rows.drop_nulls(key).filter(pl.col("phone").str.contains(f"^(?:{rule.params['phone_pattern']})$"))
    found: set[str] = set()
    groups = rows.filter(pl.col("archive_no").n_unique().over(key) > 1).group_by(key)
    for _, group in groups:
        people = group.select("archive_no", "_name", "id_card_no", "_valid").rows()
        for one, other in permutations(people, 2):
            if one[0] == other[0]:
                continue
            if same_name:
                alike = one[2] is None or other[2] is None or one[2] != other[2]
            else:
                apart = _body(*one[2:]) and _body(*other[2:]) and _body(*one[2:]) != _body(*other[2:])
                alike = not apart and similarity(one[1], other[1]) >= rule.params["min_similarity"]
            if alike:
                found.add(one[0])
    return people_of(rule, form_id, pl.Series(sorted(found), dtype=pl.String))


def _body(number: str | None, valid: bool) -> str:
    if number and valid:
        return number[:17]
    return number[:6] + "19" + number[6:] if number and re.fullmatch(r"[0-9]{15}", number) else ""


def similarity(one: str, other: str) -> float:
    """Jaro and Winkler's similarity by characters; a difference of one character (or two swapped) counts as 0.8."""
    close = min(len(one), len(other)) >= 2 and _nearly(one, other)
    return max(round(_jaro_winkler(one, other), 6), 0.8 if close else 0.0)


def _nearly(one: str, other: str) -> bool:
    head = 0
    while head < min(len(one), len(other)) and one[head] == other[head]:
        head += 1
    a, b = one[head:], other[head:]
    return a[1:] == b[1:] or a[1:] == b or a == b[1:] or (a[:2] == b[:2][::-1] and a[2:] == b[2:])


def _jaro_winkler(one: str, other: str) -> float:
    reach = max(max(len(one), len(other)) // 2 - 1, 0)
    taken: list[int] = []
    for place, character in enumerate(one):
        spots = range(max(0, place - reach), min(len(other), place + reach + 1))
        spot = next((n for n in spots if n not in taken and other[n] == character), None)
        if spot is not None:
            taken.append(spot)
    if not taken:
        return 0.0
    swapped = sum(other[a] != other[b] for a, b in zip(taken, sorted(taken), strict=True)) / 2
    count = len(taken)
    jaro = (count / len(one) + count / len(other) + (count - swapped) / count) / 3
    prefix = next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    return jaro + min(prefix, 4) * 0.1 * (1 - jaro) if jaro > 0.7 else jaro


JUDGEMENTS: Mapping[str, Judgement] = {"UNI-U-003": _same_person, "UNI-U-004": _same_person}
