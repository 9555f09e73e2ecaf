"""Who is free to carry a fault that takes more than one record, and their records, looked up as recipes ask."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from phqc_pipeline.catalogue import Rule
from phqc_pipeline.sample.faults.work import Fault, Work


@dataclass
class Kitchen:
    """Who is still free, and the people with services, looked up once for each institution."""

    work: Work

    def people(self, form_id: str) -> list[int]:
        """Free people with records on a form, in random order."""
        rows = self.work.frames.get(form_id)
        if rows is None:  # a small institution delivers no form of which it has no record
            return []
        found = sorted(set(rows["_person"].to_list()) - self.work.reserved - {-1})
        return [found[int(n)] for n in self.work.chance.order(len(found))]

    def lonely(self, fresh: bool) -> list[int]:
        """Free, active people without any service, ``fresh``: archived after the basis year; in random order."""
        served = {
            person
            for form_id, rows in self.work.frames.items()
            if form_id != "resident_profile"
            for person in rows["_person"].to_list()
        }
        people = self.work.people
        day = people["archive_day"].to_numpy()
        able = (people["status"] == "1").to_numpy() & ((day > self.work.times.basis_end) == fresh)
        found = [n for n in range(people.height) if able[n] and n not in served and n not in self.work.reserved]
        return [found[int(n)] for n in self.work.chance.order(len(found))]

    def row(self, form_id: str, person: int) -> dict[str, Any]:
        return self.work.rows_of(form_id, person).row(-1, named=True)

    def rows(self, form_id: str) -> Iterator[dict[str, Any]]:
        """The last record of each free person, in random order; where there is no person, records not yet touched."""
        if self.work.cat.forms[form_id].subject == "person":
            yield from (self.row(form_id, person) for person in self.people(form_id))
            return
        rows = self.work.frames[form_id]
        rows = rows.filter(~pl.col("_row").is_in(sorted(self.work.touched[form_id])))
        for n in self.work.chance.order(rows.height):
            yield rows.row(int(n), named=True)

    def reserve(self, row: Mapping[str, Any]) -> None:
        """Keep other faults away from a record's person, if it has one."""
        if row["_person"] >= 0:
            self.work.reserved.add(row["_person"])


#: Puts in one fault of a rule on a form and returns it, or None when nobody fits.
Recipe = Callable[[Kitchen, Rule, str], Fault | None]
