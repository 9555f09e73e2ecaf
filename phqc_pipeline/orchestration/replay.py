"""Any past night again: judged from the lake, the catalogue and the registry as they were, and held against its record.

Belongs here: a night's inputs put together again, aside of the home, and the comparison. Does not belong here: judging
(``stages``), what is kept of a night (``warehouse.kept``, ``warehouse.night``).

Nothing of the home is changed. A lake file that was converted anew since, by another dictionary, is made again from
landing by the kept catalogue. The program itself is today's: a night that another version of it judged otherwise shows,
and one whose dbt project it cannot run is refused.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import polars as pl

from phqc_pipeline.catalogue import for_plan, load_catalogue
from phqc_pipeline.extracts import Books, Delivery, HeldBack, LakeFile, read_registry, take_in
from phqc_pipeline.home import Home
from phqc_pipeline.orchestration import stages
from phqc_pipeline.orchestration.session import Session
from phqc_pipeline.warehouse import DbtError, list_nights, read_night


class ReplayError(RuntimeError):
    """The night cannot be judged again: something of what it was judged by is not there any more."""


@dataclass(frozen=True)
class Replayed:
    """A night judged again. ``differences``: rule → (findings recorded, findings found now) where they differ."""

    plan_id: str
    run_id: str
    recorded: str
    found: str
    findings: int
    differences: Mapping[str, tuple[int, int]]

    @property
    def is_same(self) -> bool:
        return self.recorded == self.found

    def describe(self) -> str:
        """What came of it, in Chinese."""
        head = f"计划 {self.plan_id}，运行 {self.run_id}：问题 {self.findings} 条，摘要 {self.found}"
        if self.is_same:
            return f"{head}，与当夜记录一致"
        listed = [f"  {rule_id}：当夜 {then} 条，重放 {now} 条" for rule_id, (then, now) in self.differences.items()]
        said = "；各规则条数相同，但内容不同" if not listed else ""
        return "\n".join([f"{head}，与当夜记录 {self.recorded} 不一致{said}", *listed])


@dataclass
class PastSession(Session):
    """A session whose deliveries are those a night recorded (``deliveries.json``) and not the newest of the books."""

    in_force_then: tuple[Delivery, ...] = ()
    held_back_then: tuple[HeldBack, ...] = ()
    delivering_then: tuple[str, ...] = ()
    refused_then: Mapping[str, str] = field(default_factory=dict)

    def everything_in_force(self, snapshot: date) -> list[Delivery]:
        return list(self.in_force_then)

    def held_back(self, snapshot: date) -> list[HeldBack]:
        return list(self.held_back_then)

    def refused(self, snapshot: date) -> dict[str, str]:
        return dict(self.refused_then)

    def _delivering(self, snapshot: date) -> list[str]:
        return list(self.delivering_then)


def replay(home: Home, day: date, plan_id: str | None = None, keep: Path | None = None) -> list[Replayed]:
    """Judge every night of ``day`` (of one plan, if named) again. ``keep``: a folder for what came of it.

    ReplayError when there is no such night, it was laid down before versions were kept, or by a program whose dbt
    project today's cannot run.
    """
    nights = [night for night in list_nights(home) if read_night(night)["snapshot_date"] == day.isoformat()]
    nights = [night for night in nights if plan_id is None or read_night(night)["plan_id"] == plan_id]
    if not nights:
        known = sorted({read_night(night)["snapshot_date"] for night in list_nights(home)})
        raise ReplayError(
            f"没有 {day} 这一夜{f'（计划 {plan_id}）' if plan_id else ''}，现有：{'、'.join(known) or '无'}"
        )
    return [_replayed(home, night, keep) for night in nights]


def _replayed(home: Home, night: Path, keep: Path | None) -> Replayed:
    told = read_night(night)
    with scratch_home(home, "replay", **_kept(home, told)) as scratch:
        session = _session(home, scratch, night, told)
        try:
            again = judge_apart(session, date.fromisoformat(told["snapshot_date"]))
        except DbtError as unreadable:
            raise ReplayError(f"{_UNREADABLE}：{unreadable}") from unreadable
        broken = broken_rules(again / "results.parquet") - broken_rules(night / "results.parquet")
        if broken:
            raise ReplayError(f"{_UNREADABLE}，判不了：{'、'.join(sorted(broken))}")
        found = read_night(again)
        differences = _differences(night, again)
        if keep is not None:
            shutil.copytree(again, keep / night.name, dirs_exist_ok=True)
    return Replayed(
        told["plan_id"],
        told["run_id"],
        told["findings_digest"],
        found["findings_digest"],
        found["findings"],
        differences,
    )


def judge_apart(session: Session, day: date) -> Path:
    """Judge one night in the session's (scratch) home; its folder."""
    stages.judge_records(session, day, lambda said: None)
    stages.judge_cross(session, day)
    stages.lay_down(session, day)
    return session.night(day)


def broken_rules(*results: Path) -> set[str]:
    """Rules that could not be judged at all, by files of results (Parquet)."""
    query = "SELECT DISTINCT rule_id FROM read_parquet(?, union_by_name := true) WHERE status = 'error'"
    with duckdb.connect() as connection:
        return {rule_id for (rule_id,) in connection.execute(query, [[str(path) for path in results]]).fetchall()}


@contextmanager
def scratch_home(home: Home, name: str, *, registry: Path, dbt_project: Path) -> Iterator[Home]:
    """A home aside that reads this one's lake, for judging without leaving a trace; gone in the end."""
    root = home.warehouse / "aside" / name
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    (root / "lake").symlink_to(home.lake.resolve(), target_is_directory=True)
    (root / "registry").symlink_to(registry.resolve(), target_is_directory=True)
    try:
        yield Home(root, dbt_project)
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _kept(home: Home, told: Mapping[str, Any]) -> dict[str, Path]:
    folders = {name: home.kept / str(told.get(f"kept_{name}", "")) for name in ("catalogue", "registry", "project")}
    for name, folder in folders.items():
        if f"kept_{name}" not in told or not folder.is_dir():
            day = told["snapshot_date"]
            raise ReplayError(f"{day} 那一夜所用的{_TITLES[name]}没有留存（{folder}），不能重放；可重新运行那一夜")
    return {"registry": folders["registry"], "dbt_project": folders["project"]}


_UNREADABLE = "那一夜留存的 dbt 项目，今天的程序运行不了；请用当时那一版程序重放，或按现在的规则重新运行那一夜"
_TITLES = {"catalogue": "规则目录", "registry": "登记资料", "project": "dbt 项目"}


def _session(home: Home, scratch: Home, night: Path, told: Mapping[str, Any]) -> PastSession:
    base = load_catalogue(home.kept / told["kept_catalogue"])
    recorded = json.loads((night / "deliveries.json").read_text(encoding="utf-8"))
    institutions = pl.read_parquet(night / "institutions.parquet")
    reasons = dict(institutions.select("institution_code", "reason").iter_rows())
    whose = pl.read_parquet(night / "results.parquet", columns=["institution_code"])["institution_code"].unique()
    day = date.fromisoformat(told["snapshot_date"])
    session = PastSession(
        scratch,
        for_plan(base, told["plan_id"]),
        told["plan_id"],
        told["run_id"],
        base=base,
        only=tuple(told.get("only", ())),
        held_back_then=tuple(HeldBack(code, form_id, day, (), "", True) for code, form_id in recorded["held_back"]),
        delivering_then=tuple(sorted(whose)),
        refused_then={code: reasons.get(code) or "未开通质控" for code in told.get("not_entitled", ())},
    )
    session.in_force_then = tuple(_delivery(scratch, one) for one in recorded["in_force"])
    if _is_converted_anew(session):
        _convert_again(home, session, day)
    return session


def _delivery(home: Home, one: Mapping[str, Any]) -> Delivery:
    day = date.fromisoformat(one["snapshot_date"])
    folder = home.lake / one["form_id"] / day.isoformat() / one["institution_code"]
    files = tuple(
        LakeFile(file["file_id"], folder / f"{file['file_id']}.parquet", int(file["rows"])) for file in one["files"]
    )
    missing = frozenset(one["missing_columns"])
    return Delivery(one["institution_code"], one["form_id"], day, files, missing, one["fingerprint"])


def _is_converted_anew(session: PastSession) -> bool:
    """Whether some lake file is gone, or not what it was when the night was judged."""
    books = Books(session.home, session.cat)
    return any(
        any(not file.path.is_file() for file in one.files) or books.fingerprint_of(one) != one.fingerprint
        for one in session.in_force_then
    )


def _convert_again(home: Home, session: PastSession, day: date) -> None:
    """A lake of the scratch home's own, from landing by the kept catalogue and registry."""
    scratch = session.home
    (scratch.root / "lake").unlink()
    (scratch.root / "landing").symlink_to(home.landing.resolve(), target_is_directory=True)
    accepted = home.books / "accepted"
    if accepted.is_dir():
        shutil.copytree(accepted, scratch.books / "accepted")
    take_in(scratch, session.base or session.cat, read_registry(scratch), day, log=lambda said: None)
    if _is_converted_anew(session):
        raise ReplayError("那一夜所用的交付文件已不在 landing/ 里，或内容变了，不能重放；请从备份恢复后再试")


def _differences(recorded: Path, found: Path) -> dict[str, tuple[int, int]]:
    counts = [
        dict(
            duckdb.sql(
                f"SELECT rule_id, count(*) FROM read_parquet('{night / 'findings.parquet'}') GROUP BY 1"
            ).fetchall()
        )
        for night in (recorded, found)
    ]
    rules = sorted({*counts[0], *counts[1]})
    pairs = {rule_id: (counts[0].get(rule_id, 0), counts[1].get(rule_id, 0)) for rule_id in rules}
    return {rule_id: pair for rule_id, pair in pairs.items() if pair[0] != pair[1]}
