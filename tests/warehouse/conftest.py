"""A small home taken through a whole night once, for the tests that look at what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from phqc_pipeline.catalogue import Catalogue, Context, Scheme, load_catalogue
from phqc_pipeline.checks import judge_records
from phqc_pipeline.home import DEFAULT_RULES, Home
from phqc_pipeline.warehouse import assemble_night, build_marts, fold, publish, run_cross, stage

from .small_lake import Delivery, deliver, deliver_report

HERE, THERE = "654301100", "654301101"
NIGHT = date(2024, 12, 31)

REPORTED = {"ehr_electronic": 2.0, "ehr_archive": 2.0, "ehr_pop": 4.0}

INSTITUTIONS = pl.DataFrame(
    {
        "institution_code": [HERE, THERE],
        "institution_name": ["甲卫生院", "乙卫生院"],
        "parent_code": [None, None],
    },
    schema_overrides={"parent_code": pl.String},
)


@pytest.fixture(scope="session")
def catalogue() -> Catalogue:
    return load_catalogue(DEFAULT_RULES)


@dataclass
class Small:
    """One home and what it takes to run a night on it."""

    home: Home
    cat: Catalogue
    deliveries: list[Any]
    charges: pl.DataFrame | None = None
    waivers: pl.DataFrame | None = None
    files: pl.DataFrame | None = None
    rules: tuple[str, ...] = ()  # those alone; none: the whole default scheme

    @property
    def scheme(self) -> Scheme:
        default = self.cat.schemes["default"]
        return replace(default, rules=self.rules) if self.rules else default

    @property
    def ctx(self) -> Context:
        return Context.natural_year(NIGHT)

    def judge(self, held_back: Sequence[Any] = ()) -> Path:
        """Everything up to the night's folder."""
        scheme, work = self.scheme, self.home.warehouse / "judged"
        manifest = stage(
            self.home,
            self.cat,
            self.deliveries,
            self.ctx,
            scheme=scheme,
            institutions=INSTITUTIONS,
            held_back=held_back,
        )
        forms = [one for one in self.deliveries if one.form_id in self.cat.forms]
        done = judge_records(self.cat, forms, self.ctx, work / "records")
        run_cross(self.home, self.cat, self.deliveries, self.ctx, work / "cross", scheme=scheme, manifest=manifest)
        return assemble_night(
            self.home,
            self.cat,
            self.ctx,
            plan=self.cat.plans["nightly"],
            scheme=scheme,
            deliveries=self.deliveries,
            records=work / "records",
            cross=work / "cross",
            records_checked=done.records_judged,
            started_at=datetime.fromisoformat("2025-01-01 02:00:00"),
            finished_at=datetime.fromisoformat("2025-01-01 02:01:00"),
            held_back=held_back,
        )

    def build(self) -> None:
        """Fold and build what is published."""
        build_marts(
            self.home,
            self.cat,
            fold(self.home, self.waivers),
            files=book_of(self.deliveries) if self.files is None else self.files,
            rejected=None,
            waivers=self.waivers,
            billing={"charge": self.charges} if self.charges is not None else None,
        )

    def publish(self) -> None:
        publish(self.home)


def book_of(deliveries: Sequence[Any]) -> pl.DataFrame:
    """``ingest.file`` as the books would have it."""
    return pl.DataFrame(
        [
            {
                "file_id": file.file_id,
                "sha256": "0" * 64,
                "institution_code": one.institution_code,
                "snapshot_date": one.snapshot_date,
                "form_id": one.form_id,
                "path": f"landing/{one.institution_code}/{one.snapshot_date}/{one.form_id}.csv",
                "format": "csv",
                "encoding": "utf-8",
                "status": "accepted",
                "reason": "",
                "rows_read": file.rows,
                "rows_loaded": file.rows,
                "rows_rejected": 0,
            }
            for one in deliveries
            for file in one.files
        ]
    )


def small_deliveries(home: Home, cat: Catalogue) -> list[Delivery]:
    """Two institutions, three people: one well, one with faults of every carrier, one elsewhere."""
    first, second = HERE + "00100001", HERE + "00100002"

    def profile(archive_no: str, name: str, **more: Any) -> dict[str, Any]:
        cells = {"archive_no": archive_no, "person_name": name, "sex_code": "1", "birth_date": "1960-05-01"}
        return {
            **cells,
            "record_id": f"P{archive_no[-3:]}",
            "doctor_name": "李医生",
            "archive_date": "2012-01-01",
            "id_card_no": "11010519491231002X",
            "phone": "13912345678",
            "current_address": "某乡某村一组七号",
            **more,
        }

    visits = [
        {
            "record_id": f"H{month}",
            "archive_no": second,
            "person_name": "王某某",
            "birth_date": "1960-05-01",
            "doctor_name": "张医生",
            "visit_date": f"2024-{month:02d}-05",
            "visit_mode_code": "1",
            "class_code": "1",
            "sbp": 165,
            "dbp": 92,
            "created_at": f"2024-{month:02d}-05 10:{month:02d}:00",
        }
        for month in (1, 6)
    ]
    registered = [
        {
            "record_id": "C1",
            "archive_no": second,
            "disease": "HTN",
            "diagnosis_date": "2015-01-01",
            "register_date": "2016-01-01",
            "manage_status": "1",
            "doctor_name": "张医生",
        }
    ]
    reported = [(2023, "Y", item, value) for item, value in REPORTED.items()]
    return [
        deliver(home, cat, "resident_profile", HERE, [profile(first, "赵某某"), profile(second, "王某某")], day=NIGHT),
        deliver(home, cat, "htn_followup", HERE, visits, day=NIGHT),
        deliver(home, cat, "chronic_registry", HERE, registered, day=NIGHT),
        deliver(home, cat, "resident_profile", THERE, [profile(THERE + "00100003", "钱某某")], day=NIGHT),
        deliver_report(home, HERE, reported, day=NIGHT),
    ]


@pytest.fixture(scope="module")
def small(catalogue: Catalogue, tmp_path_factory: pytest.TempPathFactory) -> Small:
    """A home whose one night is judged, built and published."""
    home = Home(tmp_path_factory.mktemp("small"))
    given = Small(home, catalogue, small_deliveries(home, catalogue))
    given.waivers = pl.DataFrame(
        {
            "rule_id": ["HTN-T-001"],
            "institution_code": [HERE],
            "subject_id": [HERE + "00100002"],
            "field": [None],
            "from_date": [date(2024, 12, 1)],
            "until_date": [date(2024, 12, 31)],
        },
        schema_overrides={"field": pl.String},
    )
    given.judge()
    given.build()
    given.publish()
    return given
