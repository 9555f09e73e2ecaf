"""Scenarios of tests/scenarios/*.yaml as a home that dbt judges: see the README there."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import yaml

from phqc_pipeline.catalogue import Catalogue, Context
from phqc_pipeline.extracts import Delivery, LakeFile
from phqc_pipeline.home import Home
from phqc_pipeline.warehouse import run_cross, stage

from .small_lake import deliver_report, lake_frame

FOLDER = Path(__file__).parents[1] / "scenarios"
TODAY = date(2024, 12, 31)
PROFILE = "resident_profile"
_DOCTOR = "李医生"
#: ``archive:a`` in a cell is the archive number of ``a``.
_ARCHIVE_OF = "archive:"
#: What a row says beside its columns.
_WHOSE = ("who", "at", "record_id", "station")
_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)


@dataclass(frozen=True)
class Scenario:
    """One entry of a file; ``here`` and ``there`` are institutions of its own."""

    file: str
    name: str
    today: date
    entry: Mapping[str, Any]
    number: int
    records_from: date | None = None  # the plan's

    @property
    def rules(self) -> tuple[str, ...]:
        return tuple(self.entry["rules"])

    @property
    def here(self) -> str:
        return f"65{2 * self.number:07d}"

    @property
    def there(self) -> str:
        return f"65{2 * self.number + 1:07d}"

    @property
    def places(self) -> tuple[str, ...]:
        """The institutions that deliver: the second one where the scenario speaks of it (each costs files)."""
        return (self.here, self.there) if "there" in str(self.entry) else (self.here,)

    def institution(self, entry: Mapping[str, Any]) -> str:
        return self.there if entry.get("at") == "there" else self.here

    def archive_no(self, who: str) -> str:
        people = sorted({row["who"] for _, row in self.rows() if "who" in row} | set(self.entry.get("people", ())))
        return f"{self.here}001{people.index(who) + 1:05d}"

    def rows(self) -> Iterable[tuple[str, Mapping[str, Any]]]:
        for form_id, rows in (self.entry.get("rows") or {}).items():
            for row in rows:
                yield form_id, row

    def record_id(self, written: str) -> str:
        return f"{self.number}-{written}"


def read_scenarios(only: str | None = None) -> list[Scenario]:
    """All scenarios (of one file: its stem), numbered through."""
    found: list[Scenario] = []
    for path in sorted(FOLDER.glob("*.yaml")):
        day: dict[str, date] = {"today": TODAY}
        for entry in yaml.safe_load(path.read_text(encoding="utf-8")) or ():
            if "today" in entry:
                day = entry
            elif only in (None, path.stem):
                found.append(Scenario(path.stem, entry["scenario"], entry=entry, number=len(found) + 1, **day))
    return found


def id_number(birth: date, sex: str, number: int) -> str:
    """A made-up identity number right in structure and check digit."""
    block, order = divmod(2 * number + (1 if sex == "1" else 0), 1000)
    body = f"{654301 + block % 1000}{birth:%Y%m%d}{order:03d}"
    return body + "10X98765432"[sum(int(d) * w for d, w in zip(body, _WEIGHTS, strict=True)) % 11]


@dataclass
class Judged:
    """What one run found. ``findings`` and ``results`` as ``run_cross`` writes them; ``records``: form_id,
    institution_code, record_id of every record delivered."""

    findings: pl.DataFrame
    results: pl.DataFrame
    problems: list[str]
    records: pl.DataFrame


def judge(home: Home, cat: Catalogue, scenarios: Sequence[Scenario]) -> None:
    """Deliver all scenarios of one day and judge them by the rules they name; see ``read_judged``."""
    ((today, records_from),) = {(one.today, one.records_from) for one in scenarios}
    deliveries: list[Delivery] = []
    laid: dict[str, list[pl.DataFrame]] = defaultdict(list)
    registry: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for one in scenarios:
        deliveries += _deliveries(home, cat, one, laid)
        for name, rows in (one.entry.get("registry") or {}).items():
            registry[name] += [_registered(one, row) for row in rows]
    deliveries = _with_files(home, deliveries, laid)
    named = {rule_id for one in scenarios for rule_id in one.rules}
    scheme = replace(cat.schemes["default"], rules=tuple(sorted(named)))
    ctx = Context.natural_year(today)
    named_here = {code: dict[str, Any]() for one in scenarios for code in one.places}
    for row in registry.pop("institution", ()):
        named_here.setdefault(row["institution_code"], {}).update(row)
    columns = ("institution_code", "institution_name", "level", "parent_code")
    institutions = pl.DataFrame(
        [{"institution_code": code, "institution_name": code, **row} for code, row in named_here.items()],
        schema=dict.fromkeys(columns, pl.String),
    )
    extra: dict[str, Any] = {
        f"{name}s": pl.DataFrame(rows) for name, rows in registry.items()
    }  # doctor.csv is stage(doctors=…)
    manifest = stage(
        home, cat, deliveries, ctx, scheme=scheme, institutions=institutions, records_from=records_from, **extra
    )
    out = home.warehouse / "cross"
    judged, run = run_cross(home, cat, deliveries, ctx, out, scheme=scheme, manifest=manifest)
    problems = [*judged.errors, *(str(node) for node in run.failed())]
    (out / "problems").write_text("\n".join(problems), encoding="utf-8")


def read_judged(home: Home) -> Judged:
    """What ``judge`` found."""
    out = home.warehouse / "cross"
    problems = (out / "problems").read_text(encoding="utf-8").splitlines()
    findings, results = (pl.read_parquet(out / f"{name}.parquet") for name in ("findings", "results"))
    told = set(findings.drop_nulls("record_id")["form_id"])
    records = [
        pl.read_parquet(path, columns=["record_id", "_institution_code"]).select(
            "record_id", form_id=pl.lit(form_id), institution_code="_institution_code"
        )
        for form_id in sorted(told)
        for path in (home.lake / form_id).glob("*/*/*.parquet")
    ]
    none = findings.select("record_id", "form_id", "institution_code").clear()
    return Judged(findings, results, problems, pl.concat([none, *records], how="vertical_relaxed"))


def expected_of(one: Scenario) -> dict[tuple[str, str, str], Mapping[str, Any]]:
    """(rule, subject, institution) → the entry of ``expect``."""
    found = {}
    for entry in one.entry.get("expect") or ():
        institution = one.institution(entry)
        if "who" in entry:
            subject = one.archive_no(entry["who"])
        elif "record" in entry:
            subject = one.record_id(entry["record"])
        else:
            subject = entry.get("doctor") or entry.get("household") or institution + entry.get("station", "")
        found[entry["rule"], subject, institution] = entry
    return found


def _registered(one: Scenario, row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of a registry file; ``station``: of one below the institution; ``@here`` and ``@there`` stand for codes."""
    codes = {"@here": one.here, "@there": one.there}
    given = {name: codes.get(value, value) for name, value in row.items() if name not in ("at", "station")}
    whose = one.institution(row)
    if "station" in row:
        given = {"parent_code": whose, **given}
        whose += row["station"]
    return {"institution_code": whose, **given}


def _deliveries(home: Home, cat: Catalogue, one: Scenario, laid: dict[str, list[pl.DataFrame]]) -> list[Delivery]:
    """What the scenario's institutions deliver, as yet without files of forms: their rows are added to ``laid``."""
    rows = _lake_rows(cat, one)
    withheld = set(one.entry.get("not_delivered") or ())
    missing = one.entry.get("missing_columns") or {}
    forms = {form_id for form_id, _ in rows}
    reports = set(one.entry.get("reports") or {})
    for rule_id in one.rules:
        for rule in cat.versions(rule_id):
            for read in (*rule.form_ids, *rule.reads):
                (reports if read in cat.reports else forms).add(read)
    found = []
    for form_id in sorted(forms - withheld):
        if form_id not in cat.forms:
            continue
        for code in one.places:
            given = rows.get((form_id, code), ())
            if given or form_id not in laid:  # an empty file says nothing beside another
                laid[form_id].append(lake_frame(cat.forms[form_id], code, given))
            lacking = frozenset(missing.get(form_id, ()))
            found.append(Delivery(code, form_id, one.today, (), lacking, f"{form_id}-{code}"))
    for report_id in sorted(reports - withheld):
        for code in one.places:
            given = [row for row in (one.entry.get("reports") or {}).get(report_id, ()) if one.institution(row) == code]
            cells = [
                (row["year"], row["period"], item, value)
                for row in given
                for item, value in row.items()
                if item not in ("year", "period", "at")
            ]
            found.append(deliver_report(home, code, cells, day=one.today, report_id=report_id))
    return found


def _with_files(
    home: Home, deliveries: Sequence[Delivery], laid: Mapping[str, Sequence[pl.DataFrame]]
) -> list[Delivery]:
    """One lake file a form, of all institutions (a hundred small ones are opened by every model that reads the form):
    the first delivery brings it. Rows are numbered on from one institution to the next."""
    found = []
    left = dict(laid)
    for one in deliveries:
        frames = left.pop(one.form_id, None)
        if frames is None:
            found.append(one)
            continue
        path = home.lake / one.form_id / one.snapshot_date.isoformat() / "all" / f"{one.form_id}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        frame = pl.concat(frames)
        frame.with_columns(
            pl.Series("_row_number", range(2, frame.height + 2), dtype=frame["_row_number"].dtype)
        ).write_parquet(path)
        found.append(replace(one, files=(LakeFile(one.form_id, path, frame.height),)))
    return found


def _lake_rows(cat: Catalogue, one: Scenario) -> dict[tuple[str, str], list[dict[str, Any]]]:
    """The rows as the lake has them, by form and institution, with what the scenario leaves unsaid."""
    told = list(one.rows())
    people = {row["who"] for _, row in told if "who" in row} | set(one.entry.get("people", ()))
    profiled = {row["who"] for form_id, row in told if form_id == PROFILE and "who" in row}
    lacking = sorted(people - profiled - set(one.entry.get("without_profile") or ()))
    told = [*((PROFILE, {"who": who}) for who in lacking), *told]
    known: dict[str, dict[str, Any]] = {}
    found: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for number, (form_id, row) in enumerate(told, start=1):
        form = cat.forms[form_id]
        cells = {name: _plain(value) for name, value in row.items() if name not in _WHOSE}
        if "station" in row:
            cells["station_code"] = one.institution(row) + row["station"]
        named = {name: value for name, value in cells.items() if str(value).startswith(_ARCHIVE_OF)}
        cells |= {name: one.archive_no(value[len(_ARCHIVE_OF) :]) for name, value in named.items()}
        who = row.get("who")
        if who is not None:
            own = one.archive_no(who)
            if form_id == PROFILE:
                cells = {**_profile(own, cells), **cells}
                known.setdefault(who, cells)
            shared = known.get(who) or _profile(own, {})
            person = ("person_name", "sex_code", "birth_date", "id_card_no")
            cells = {**{name: shared[name] for name in person if form.has(name)}, "archive_no": own, **cells}
        day = cells.get(form.service_date) or cells.get("created_at") or one.today.isoformat()
        entered = datetime.fromisoformat(str(day)[:10]) + timedelta(hours=10, minutes=number)
        written = row.get("record_id", f"N{number:04d}")
        defaults = {
            "record_id": None if written is None else one.record_id(written),
            "doctor_name": _DOCTOR,
            "created_at": entered,
        }
        defaults = {name: value for name, value in defaults.items() if form.has(name)}
        found[form_id, one.institution(row)].append({**defaults, **cells})
    return found


def _profile(archive_no: str, given: Mapping[str, Any]) -> dict[str, Any]:
    number = int(archive_no[-5:]) + 40 * int(archive_no[2:9])
    birth = str(given.get("birth_date") or "1980-05-01")
    sex = str(given.get("sex_code") or "1")
    return {
        "person_name": f"甲{number}",
        "sex_code": sex,
        "birth_date": birth,
        "id_card_no": id_number(date.fromisoformat(birth), sex, number),
        "phone": f"138{number:08d}",
        "archive_date": "2010-03-01",
    }


def _plain(value: Any) -> Any:
    """YAML reads 2024-03-01 as a date; the lake's rows are written with text."""
    return value.isoformat() if isinstance(value, (date, datetime)) else value
