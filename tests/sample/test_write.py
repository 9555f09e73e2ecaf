"""Whole samples: the same bytes again, every rule stood for, the founding institution's count exact."""

from __future__ import annotations

import csv
import gzip
import zipfile
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from phqc_pipeline.catalogue import Catalogue
from phqc_pipeline.home import Home
from phqc_pipeline.sample import write_sample
from phqc_pipeline.sample.faults.unshown import UNSHOWN
from phqc_pipeline.sample.places import FOUNDING_CODE, FOUNDING_ELECTRONIC
from phqc_pipeline.sample.tracked import FOLDERS, TRACKED_DIR, write_tracked
from phqc_pipeline.sample.write import FOUNDING_RESIDENTS, _sizes
from tests.end_to_end.conftest import judge_founding

_OTHER_DAY = date(2025, 6, 30)  # one for all tests: a sample's checks are planned once a day


def contents(root: Path) -> dict[str, object]:
    """Every file below the sample's folders; compressed ones unpacked, as packing is up to a library."""
    found: dict[str, object] = {}
    for folder in FOLDERS:
        for path in sorted(path for path in (root / folder).rglob("*") if path.is_file()):
            found[path.relative_to(root).as_posix()] = _content(path)
    return found


def _content(path: Path) -> object:
    if path.suffix == ".gz":
        return gzip.decompress(path.read_bytes())
    if path.suffix == ".xlsx":
        with zipfile.ZipFile(path) as archive:
            return {name: archive.read(name) for name in archive.namelist()}
    if path.suffix == ".parquet":
        frame = pl.read_parquet(path)
        return (frame.schema, frame.rows())
    return path.read_bytes()


def key_of(home: Path) -> list[dict[str, str]]:
    with (home / "sample" / "answer_key.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_tracked_sample_is_what_is_written_today(cat: Catalogue, tmp_path: Path) -> None:
    """After a change of rules or of the sample: python -m phqc_pipeline.sample.tracked."""
    write_tracked(tmp_path, cat)
    today, tracked = contents(tmp_path), contents(TRACKED_DIR)
    assert sorted(today) == sorted(tracked)
    differing = [name for name, content in today.items() if tracked[name] != content]
    assert differing == [], "run python -m phqc_pipeline.sample.tracked and commit data/sample"


def test_the_tracked_sample_is_small_and_of_two_institutions() -> None:
    files = [path for path in TRACKED_DIR.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 3_000_000
    assert len(list((TRACKED_DIR / "landing").iterdir())) == 2


@pytest.fixture(scope="session")
def few_checks(cat: Catalogue) -> Catalogue:
    """Every form, every cross rule, but record rules of two forms alone: what is asked of the files does not hang on
    how many faults are in them, and a sample costs a third. Every check's faults are in the tracked sample and in
    the founding institution's.
    """
    judged = {"htn_followup", "resident_profile"}
    return replace(
        cat,
        rules=tuple(rule for rule in cat.rules if rule.carrier == "dbt" or judged & set(rule.form_ids)),
        checks_by_form={form_id: checks for form_id, checks in cat.checks_by_form.items() if form_id in judged},
    )


@pytest.fixture(scope="session")
def founding(made_once: Callable[[str, Callable[[Path], None]], Path]) -> Path:
    """The founding institution's sample, that of the night which all workers share."""
    return made_once("founding_home", judge_founding)


def test_the_founding_institution(founding: Path, cat: Catalogue) -> None:
    """Exactly 10,129; every rule injected, a field rule on every field it applies to; a report that says so."""
    key = key_of(founding)
    checks = {(check.rule.rule_id, form_id, check.field) for form_id in cat.forms for check in cat.checks(form_id)}
    stood_for = {(one["rule_id"], one["form_id"], one["field"]) for one in key}
    delivered = {one["form_id"] for one in key}
    missing = {one for one in checks if one[1] in delivered} - stood_for
    assert missing == set()
    assert {rule.rule_id for rule in cat.rules} - {one["rule_id"] for one in key} == UNSHOWN.keys()
    once = [one for one in key if one["subject_kind"] != "institution"]  # a report's fault stands once for each period
    assert len({(one["rule_id"], one["form_id"], one["field"], one["subject_id"]) for one in once}) == len(once)
    report = pl.read_excel(next((founding / "landing" / FOUNDING_CODE / "2024-12-31").glob("城乡*.xlsx")))
    charged = report.filter((pl.col("年度") == 2023) & (pl.col("期间") == "Y"))
    assert charged["已建立电子健康档案人数"].to_list() == [FOUNDING_ELECTRONIC]
    assert charged["已建立健康档案人数"].to_list() == [FOUNDING_ELECTRONIC]


def test_the_founding_order(founding: Path) -> None:
    order = pl.read_csv(founding / "registry" / "order.csv", infer_schema=False).row(0, named=True)
    assert (order["institution_code"], order["unit_price"], order["rounding"]) == (FOUNDING_CODE, "0.6", "yuan_down")
    assert (order["basis_year"], order["basis_period"], order["basis_item"]) == ("2023", "Y", "ehr_electronic")
    assert (order["service_from"], order["service_to"], order["penalty_rate"]) == ("2024-11-01", "2025-11-01", "0.05")
    paid = pl.read_csv(founding / "registry" / "payment.csv", infer_schema=False).row(0, named=True)
    assert (paid["order_no"], paid["amount"]) == (order["order_no"], "6077")


def test_files_of_every_kind(founding: Path) -> None:
    files = list((founding / "landing" / FOUNDING_CODE / "2024-12-31").iterdir())
    assert {"".join(path.suffixes[-2:]) if path.suffix == ".gz" else path.suffix for path in files} == {
        ".csv", ".csv.gz", ".xlsx", ".parquet"
    }  # fmt: skip
    profile = next(path for path in files if path.name.startswith("个人基本信息表"))
    assert "卫生院" in profile.read_bytes().decode("gb18030").splitlines()[0]
    assert next(path for path in files if path.name.startswith("高血压")).read_bytes().startswith(b"\xef\xbb\xbf")


@pytest.mark.parametrize(
    ("institutions", "residents", "first"),
    [
        (1, None, FOUNDING_RESIDENTS),
        (1, 300, 300),
        (20, 300_000, FOUNDING_RESIDENTS),
        (3, None, FOUNDING_RESIDENTS),
        (52, 1100, None),
    ],
)
def test_sizes(institutions: int, residents: int | None, first: int | None) -> None:
    sizes = _sizes(institutions, residents, 1)
    assert len(sizes) == institutions
    assert first is None or sizes[0] == first
    assert residents is None or sum(sizes) == residents
    assert min(sizes) >= 20


@pytest.mark.parametrize("arguments", [{"institutions": 2, "residents": 30}, {"institutions": 500}])
def test_impossible_sizes_are_refused(cat: Catalogue, tmp_path: Path, arguments: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="请"):
        write_sample(Home(tmp_path), cat, **arguments)
    assert not (tmp_path / "landing").exists()


def raw_bytes(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_a_sample_takes_the_place_of_an_earlier_one_but_of_nothing_else(few_checks: Catalogue, tmp_path: Path) -> None:
    """And the same arguments give the same bytes."""
    home = Home(tmp_path)
    write_sample(home, few_checks, residents=40, snapshot=_OTHER_DAY, seed=1)
    before = raw_bytes(tmp_path)
    notes = home.landing / FOUNDING_CODE / "2025-06-30" / "notes.txt"
    notes.write_text("ours", encoding="utf-8")
    with pytest.raises(ValueError, match=r"notes\.txt"):
        write_sample(home, few_checks, residents=40, snapshot=_OTHER_DAY, seed=1)
    notes.unlink()
    write_sample(home, few_checks, residents=60, snapshot=_OTHER_DAY, seed=2)
    assert raw_bytes(tmp_path) != before
    write_sample(home, few_checks, residents=40, snapshot=_OTHER_DAY, seed=1)
    assert raw_bytes(tmp_path) == before


def test_no_resident_bears_a_doctors_name(founding: Path) -> None:
    doctors = set(pl.read_csv(founding / "registry" / "doctor.csv", infer_schema=False)["doctor_name"])
    profile = next((founding / "landing" / FOUNDING_CODE / "2024-12-31").glob("个人基本信息表*"))
    rows = list(csv.reader(profile.read_bytes().decode("gb18030").splitlines()[1:]))
    for header in ("姓名", "联系人姓名", "户主姓名"):
        at = rows[0].index(header)
        assert doctors & {row[at] for row in rows[1:]} == set(), header


def test_every_institution_has_a_paid_order(few_checks: Catalogue, tmp_path: Path) -> None:
    messages: list[str] = []
    log: Callable[[str], object] = messages.append
    write_sample(Home(tmp_path), few_checks, institutions=3, residents=150, snapshot=_OTHER_DAY, seed=4, log=log)
    orders = pl.read_csv(tmp_path / "registry" / "order.csv", infer_schema=False)
    delivered = {path.name for path in (tmp_path / "landing").iterdir()}
    assert set(orders["institution_code"]) == delivered
    assert (orders["service_from"] <= "2025-06-30").all()
    assert (orders["service_to"] > "2025-06-30").all()
    payments = pl.read_csv(tmp_path / "registry" / "payment.csv", infer_schema=False)
    assert set(payments["order_no"]) == set(orders["order_no"])
    assert len([message for message in messages if "处差错" in message]) >= 3
