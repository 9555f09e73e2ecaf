"""Exit statuses and what is said (contract, section 1): 2 for wrong usage, with everything found, and nothing run."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.end_to_end.conftest import ROOT, TRACKED_SAMPLE, copy_sample, phqc


@pytest.mark.parametrize("day", ["2008-12-31", "2999-01-01", "2024-13-01", "20240131", "yesterday"])
def test_a_date_out_of_bounds_is_refused(tmp_path: Path, day: str) -> None:
    copy_sample(tmp_path)
    done = phqc("nightly", "--home", tmp_path, "--date", day, check=2)
    assert day in done.stderr
    assert not (tmp_path / "published").exists()


def test_an_unknown_plan_is_refused_and_the_known_named(tmp_path: Path) -> None:
    copy_sample(tmp_path)
    done = phqc("nightly", "--home", tmp_path, "--plan", "weekly", check=2)
    assert "weekly" in done.stderr
    assert "nightly" in done.stderr


def test_an_empty_landing_folder_is_said(tmp_path: Path) -> None:
    done = phqc("nightly", "--home", tmp_path, check=2)
    assert "landing" in done.stderr


def test_an_invalid_catalogue_lists_every_fault_and_runs_nothing(tmp_path: Path) -> None:
    home, rules = copy_sample(tmp_path / "home"), tmp_path / "rules"
    shutil.copytree(ROOT / "rules", rules)
    path = rules / "checks" / "htn_followup.yaml"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("sbp", "spb", 1) + "\n  - {id: HTN-L-001}\n", encoding="utf-8")
    for command in (["rules", "check"], ["nightly", "--home", home]):
        done = phqc(*command, "--rules", rules, check=2)
        assert "htn_followup.yaml" in done.stderr
        assert "HTN-L-001" in done.stderr
    assert not (home / "published").exists()


def test_a_registry_without_a_column_lists_it_and_runs_nothing(tmp_path: Path) -> None:
    home = copy_sample(tmp_path)
    path = home / "registry" / "institution.csv"
    header, *rows = path.read_text(encoding="utf-8-sig").splitlines()
    names = header.split(",")
    at = names.index("institution_name")
    cut = [",".join(cell for number, cell in enumerate(line.split(",")) if number != at) for line in [header, *rows]]
    path.write_text("\n".join(cut) + "\n", encoding="utf-8")
    done = phqc("nightly", "--home", home, check=2)
    assert "institution.csv" in done.stderr
    assert "institution_name" in done.stderr
    assert not (home / "published").exists()


def test_home_from_the_environment(tmp_path: Path) -> None:
    done = phqc("nightly", check=2, env={"PHQC_HOME": str(tmp_path)})
    assert str(tmp_path) in done.stderr


def test_rules_commands_answer() -> None:
    assert "无误" in phqc("rules", "check").stdout
    assert "HTN-L-001" in phqc("rules", "list", "--form", "htn_followup").stdout
    shown = phqc("rules", "show", "HTN-L-001").stdout
    assert "控制满意" in shown
    assert "CASE" in shown.upper()
    phqc("rules", "show", "HTN-L-999", check=2)


def test_accepting_an_unknown_file_is_refused(tmp_path: Path) -> None:
    done = phqc("accept", "nosuchfile", "--home", copy_sample(tmp_path), check=2)
    assert "nosuchfile" in done.stderr


def test_tracked_sample_has_paid_orders() -> None:
    orders = (TRACKED_SAMPLE / "registry" / "order.csv").read_text(encoding="utf-8-sig").splitlines()
    payments = (TRACKED_SAMPLE / "registry" / "payment.csv").read_text(encoding="utf-8-sig").splitlines()
    institutions = {path.name for path in (TRACKED_SAMPLE / "landing").iterdir()}
    assert institutions <= {line.split(",")[1] for line in orders[1:]}
    assert len(payments) >= len(orders)
