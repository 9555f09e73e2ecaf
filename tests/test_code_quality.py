"""The house rules that programs can check: style, types, layers, no addresses in locks, nothing of one machine."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
PROGRAMS = Path(sys.executable).parent


def run(*command: str) -> None:
    """Run a program of the environment in the project's root; its output is the failure's message."""
    done = subprocess.run(
        [str(PROGRAMS / command[0]), *command[1:]], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode != 0:
        pytest.skip("not a git checkout: nothing says which files belong to the project")
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def test_ruff_finds_nothing() -> None:
    run("ruff", "check", ".")


def test_format_is_ruffs() -> None:
    run("ruff", "format", "--check", ".")


def test_types_hold() -> None:
    run("mypy")


def test_imports_run_downward_only() -> None:
    run("lint-imports")


def test_every_import_is_declared() -> None:
    """A package that merely happens to be in one machine's environment is missing in the next fresh clone."""
    written = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    groups = re.findall(r"^(?:dependencies|dev) = \[\n(.*?)^\]", written, re.MULTILINE | re.DOTALL)
    declared = {
        canonicalize_name(Requirement(name).name) for group in groups for name in re.findall(r'"([^"]+)"', group)
    }
    providers = packages_distributions()
    own = {"phqc_pipeline", "tests", "benchmarks"} | set(sys.stdlib_module_names)
    undeclared = set()
    for path in tracked():
        if path.suffix != ".py" or path.name == "record_rules_great_expectations.py":  # an environment of its own
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) and node.module and not node.level else []
            for name in {name.split(".")[0] for name in names} - own:
                if not declared & {canonicalize_name(provider) for provider in providers.get(name, ())}:
                    undeclared.add(f"{path.relative_to(ROOT)}: {name}")
    assert sorted(undeclared) == []


def test_lock_names_no_index() -> None:
    """An index address in the lock would send a closed network's installer to a place it cannot reach."""
    lock = (ROOT / "requirements" / "lock.txt").read_text(encoding="utf-8")
    assert "://" not in lock
    assert not re.search(r"^\s*--(index-url|extra-index-url|find-links|trusted-host)", lock, re.MULTILINE)
    pins = re.findall(r"^[A-Za-z0-9][^\n]*==", lock, re.MULTILINE)
    assert len(pins) > 100
    assert all("--hash=sha256:" in block for block in re.split(r"\n(?=[A-Za-z0-9])", lock)[1:])


def test_no_address_but_known_ones() -> None:
    """Tracked text may point to the framework's documentation and schemas, never to an index or a mirror."""
    allowed = re.compile(r"https?://(docs\.dagster\.io|docs\.getdbt\.com|json-schema\.org|localhost|127\.0\.0\.1)")
    wrong = []
    for path in tracked():
        if path.suffix in {".png", ".xlsx", ".xls", ".parquet", ".gz"} or path == Path(__file__):
            continue
        text = path.read_text(encoding="utf-8", errors="ignore")
        wrong += [
            f"{path.relative_to(ROOT)}: {address}"
            for address in re.findall(r"https?://[^\s\"'<>)]+", text)
            if not allowed.match(address)
        ]
    assert wrong == []
