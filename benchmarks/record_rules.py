"""Record rules measured against their peers, in one run on the same data.

    .venv/bin/python benchmarks/record_rules.py [--rows 1000000] [--wide-rows 100000]
        [--county-residents 300000] [--without dbt,gx] [--write]

35 rules of the hypertension follow-up, every violating record with its key, by: the nightly runner; one DuckDB query
written by hand (``record_rules_by_hand.sql``); ``schema.validate``; one dbt test a rule; Great Expectations (in an
environment of its own). All must find the same, or nothing is printed. The runner's first line does what the query
does (from the lake's current rows to violating records with their keys); its second starts from rows at hand, as do
``schema.validate``, dbt and Great Expectations, which are measured against it; its third is all it does in a night.
Then every rule: of a middling and of the widest form, and of all forms of a county's 20 institutions.
The data are the demonstration's, repeated under new record numbers. ``--write`` puts the tables into README.md.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import venv
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import duckdb
import pandera.errors
import polars as pl

from phqc_pipeline.catalogue import Catalogue, Context, load_catalogue
from phqc_pipeline.checks import judge_records, schema_for
from phqc_pipeline.checks.lake import RECORD_KEY
from phqc_pipeline.extracts import Books, Delivery, LakeFile, read_registry, take_in
from phqc_pipeline.home import DEFAULT_RULES, Home
from phqc_pipeline.sample import write_sample

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from benchmarks.judging import batches_of, evaluation_of, violations
from benchmarks.tables import write_table

HERE = Path(__file__).resolve().parent
BY_HAND = HERE / "record_rules_by_hand.sql"
SNAPSHOT = date(2024, 12, 31)
FORM, WIDE = "htn_followup", "health_exam"
INSTITUTIONS = 20  # of a county
REPEATS = 3

IN_LAKE, AT_HAND = "运行器的判定（自数据湖）", "运行器的判定（数据在手）"

Violations = Counter[str]  # rule → violating records


@dataclass(frozen=True)
class Measured:
    """One contender: the best of its runs in seconds of the clock and of the processors; None where not told."""

    name: str
    wall: float
    cpu: float | None
    found: Violations | None = None
    note: str = ""
    beside: str = IN_LAKE  # the runner's line that starts from the same


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--rows", type=int, default=200_000)
    arguments.add_argument("--wide-rows", type=int, default=20_000)
    arguments.add_argument("--residents", type=int, default=3_000, help="whose records are repeated")
    arguments.add_argument("--county-residents", type=int, default=20_000, help="of all its institutions together")
    arguments.add_argument("--without", default="", help="contenders to leave out: dbt, gx, pandera")
    arguments.add_argument("--peers", type=Path, help="folder for the peers' environment (default: made anew)")
    arguments.add_argument("--write", action="store_true", help="put the tables into benchmarks/README.md")
    given = arguments.parse_args()
    without = set(given.without.split(","))
    cat, ctx = load_catalogue(DEFAULT_RULES), Context.natural_year(SNAPSHOT)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        records = _sample(cat, work / "home", given.residents)
        middling = _repeated(records[FORM], given.rows, work / f"{FORM}.parquet")
        wide = _repeated(records[WIDE], given.wide_rows, work / f"{WIDE}.parquet")
        print(_against_peers(cat, ctx, middling, work, without, given.peers, given.write), end="\n\n")
        county = _county(cat, work / "county", given.county_residents)
        print(_every_rule(cat, ctx, {FORM: middling, WIDE: wide}, county, work, given.write))


# --- data --------------------------------------------------------------------------------------------------------


def _sample(cat: Catalogue, root: Path, residents: int) -> dict[str, list[Path]]:
    """Lake files of a demonstration institution, by form."""
    in_force = _delivered(cat, Home(root), residents)
    return {delivery.form_id: [file.path for file in delivery.files] for delivery in in_force}


def _delivered(cat: Catalogue, home: Home, residents: int) -> list[Delivery]:
    write_sample(home, cat, residents=residents, snapshot=SNAPSHOT)
    take_in(home, cat, read_registry(home), SNAPSHOT)
    return [delivery for delivery in Books(home, cat).in_force(SNAPSHOT) if delivery.form_id in cat.forms]


def _county(cat: Catalogue, root: Path, residents: int) -> list[Delivery]:
    """All forms of as many institutions as a county has: each delivers what one demonstration institution does."""
    once = _delivered(cat, Home(root), residents // INSTITUTIONS)
    county = []
    for number in range(INSTITUTIONS):
        code = f"{number:04d}"
        (root / code).mkdir()
        for delivery in once:
            files = []
            for file in delivery.files:
                path = root / code / f"{delivery.form_id}-{file.path.name}"
                os.link(file.path, path)  # a file of its own: footers are read anew
                files.append(replace(file, path=path))
            county.append(replace(delivery, institution_code=code, files=tuple(files)))
    return county


def _repeated(paths: Sequence[Path], rows: int, target: Path) -> Delivery:
    """One delivery of ``rows`` records: those of the files over and over, each time under new numbers."""
    once = pl.concat([pl.read_parquet(path) for path in paths])
    frame = pl.concat([once] * -(-rows // once.height)).head(rows).with_row_index("_copy")
    numbered = [
        pl.when(pl.col(name).is_not_null()).then(pl.format("{}-{}", name, "_copy")).alias(name)
        for name in ("record_id", RECORD_KEY)
    ]
    frame.with_columns(numbered).drop("_copy").write_parquet(target, row_group_size=50_000)
    return Delivery("A", target.stem, SNAPSHOT, (LakeFile(target.stem, target, rows),), frozenset(), "")


# --- 35 rules, and the peers -------------------------------------------------------------------------------------


def _against_peers(
    cat: Catalogue, ctx: Context, delivery: Delivery, work: Path, without: set[str], peers: Path | None, write: bool
) -> str:
    conditions = _conditions()
    contenders = [
        *_judging(cat, ctx, delivery, work, list(conditions)),
        _runner(cat, ctx, delivery, work, list(conditions)),
        _by_hand(delivery, work),
    ]
    if "pandera" not in without:
        contenders.append(_schema_validate(cat, ctx, delivery, set(conditions)))
    prepared = _judged_table(delivery, conditions, work)
    if "dbt" not in without:
        contenders.append(_dbt(prepared, conditions, work))
    if "gx" not in without:
        contenders.append(_great_expectations(prepared, peers or work / "peers"))
    expected = contenders[0].found or Counter()
    for one in contenders:
        if one.found is not None and one.found != expected:
            differing = sorted(rule for rule in conditions if one.found[rule] != expected[rule])
            raise SystemExit(f"{one.name}: finds something else for {differing}")
    ours = {one.name: one.wall for one in contenders}
    rows = [
        (one.name, seconds(one.wall), seconds(one.cpu), f"{one.wall / ours[one.beside]:.1f}", one.note)
        for one in contenders
    ]
    violating = f"{sum(expected.values()):,}"
    about = f"{len(conditions)} 条规则 × {delivery.rows:,} 条 {FORM}，命中 {violating}；{versions()}"
    return write_table("record_rules", ("做法", "秒", "CPU 秒", "是运行器同样条件的几倍", "说明"), rows, about, write)


def _conditions() -> dict[str, str]:
    """Rule → SQL condition over ``judged``, as they stand in the query written by hand."""
    each = re.findall(
        r"select '([A-Z]+-[A-Z]-\d+)' as rule_id, _record_key from judged\s+where (.*?)\s*(?=union all|\Z)",
        BY_HAND.read_text(encoding="utf-8"),
        re.DOTALL,
    )
    return dict(each)


def _judging(cat: Catalogue, ctx: Context, delivery: Delivery, work: Path, rules: Sequence[str]) -> list[Measured]:
    """The runner's own parts, as far as the rivals go: from the lake to keys in Parquet, and with the rows at hand."""
    target = work / "judged_by_us.parquet"

    def from_lake() -> None:
        evaluation = evaluation_of(cat, ctx, cat.form(FORM), rules=rules)
        keys = [found for batch in batches_of(evaluation, [delivery]) for found in violations(evaluation, batch)]
        pl.concat(keys).write_parquet(target)

    def at_hand() -> None:
        for batch in held:
            for found in violations(prepared, batch):
                found.height  # noqa: B018

    lake = timed(from_lake)
    prepared = evaluation_of(cat, ctx, cat.form(FORM), rules=rules)
    held = list(batches_of(prepared, [delivery]))
    memory = timed(at_hand)
    found = Counter(pl.read_parquet(target)["rule_id"].to_list())
    return [
        Measured(IN_LAKE, *lake, found, "取现行行，全部规则，命中记录的编号写成 Parquet"),
        Measured(AT_HAND, *memory, None, "同上，数据已读入内存"),
    ]


def _runner(cat: Catalogue, ctx: Context, delivery: Delivery, work: Path, rules: Sequence[str]) -> Measured:
    out = work / "runner"
    wall, cpu = timed(lambda: judge_records(cat, [delivery], ctx, out, forms=[FORM], rules=rules))
    found = Counter(pl.read_parquet(out / "findings" / "*.parquet")["rule_id"].to_list())
    note = "另写提示、各规则结果、在场对象"
    return Measured("运行器全部工作", wall, cpu, found, note)


def _by_hand(delivery: Delivery, work: Path) -> Measured:
    target = work / "by_hand.parquet"
    query = BY_HAND.read_text(encoding="utf-8").replace("$lake", f"'{delivery.files[0].path}'")

    def run() -> None:
        with duckdb.connect() as db:
            db.execute(f"COPY ({query}) TO '{target}' (FORMAT parquet)")

    wall, cpu = timed(run)
    found = Counter(pl.read_parquet(target)["rule_id"].to_list())
    return Measured("手写一条 DuckDB 查询", wall, cpu, found, "取现行行、规则，编号写成 Parquet")


def _schema_validate(cat: Catalogue, ctx: Context, delivery: Delivery, rules: set[str]) -> Measured:
    schema = schema_for(cat, FORM, ctx, rules=rules)
    frame = pl.read_parquet(delivery.files[0].path).filter(pl.col("record_status").is_in(["1", "5"]).fill_null(True))
    found: Violations = Counter()

    def run() -> None:
        found.clear()
        try:
            schema.validate(frame, lazy=True)
        except pandera.errors.SchemaErrors as errors:
            for error in errors.schema_errors:
                found[error.check.name] = error.failure_cases.height

    wall, cpu = timed(run, repeats=1)
    return Measured("schema.validate(lazy=True)", wall, cpu, found, "数据已读入内存", AT_HAND)


def _judged_table(delivery: Delivery, conditions: dict[str, str], work: Path) -> Path:
    """The judged records as the query by hand prepares them, for dbt and Great Expectations; not timed."""
    target = work / "judged.parquet"
    query = BY_HAND.read_text(encoding="utf-8").replace("$lake", f"'{delivery.files[0].path}'")
    head = query.split("select 'COM-C-001'")[0]
    passes = ", ".join(f'not coalesce({text}, false) as "ok_{rule}"' for rule, text in conditions.items())
    with duckdb.connect() as db:
        db.execute(
            f"COPY ({head} select *, created_at::date as created_date, {passes} from judged)"
            f" TO '{target}' (FORMAT parquet)"
        )
    return target


def _dbt(judged: Path, conditions: dict[str, str], work: Path) -> Measured:
    """A small dbt project with one singular test a rule, its violating rows stored."""
    project = work / "dbt"
    database = project / "rules.duckdb"
    for folder in ("models", "tests"):
        (project / folder).mkdir(parents=True)
    (project / "dbt_project.yml").write_text(
        "name: rules\nversion: '1.0.0'\nprofile: rules\nmodels: {+materialized: table}\n"
        "data_tests: {+store_failures: true, +severity: warn}\nflags: {send_anonymous_usage_stats: false}\n",
        encoding="utf-8",
    )
    (project / "profiles.yml").write_text(
        f"rules: {{target: it, outputs: {{it: {{type: duckdb, path: '{database}', threads: {os.cpu_count()}}}}}}}\n",
        encoding="utf-8",
    )
    (project / "models" / "judged.sql").write_text(f"select * from read_parquet('{judged}')\n", encoding="utf-8")
    for rule, text in conditions.items():
        name = rule.lower().replace("-", "_")
        sql = f"select _record_key from {{{{ ref('judged') }}}} where {text}\n"
        (project / "tests" / f"{name}.sql").write_text(sql, encoding="utf-8")
    dbt = [str(Path(sys.executable).parent / "dbt")]
    where = ["--project-dir", str(project), "--profiles-dir", str(project), "--quiet"]
    subprocess.run([*dbt, "run", *where], check=True)
    started = time.perf_counter()
    subprocess.run([*dbt, "test", *where], check=True, stdout=subprocess.DEVNULL)
    wall = time.perf_counter() - started
    found: Violations = Counter()
    with duckdb.connect(str(database), read_only=True) as db:
        for rule in conditions:
            name = rule.lower().replace("-", "_")
            found[rule] = db.execute(f"select count(*) from main_dbt_test__audit.{name}").fetchall()[0][0]
    return Measured("每条规则一个 dbt 测试", wall, None, +found, "数据已入库；含 dbt 启动", AT_HAND)


def _great_expectations(judged: Path, peers: Path) -> Measured:
    python = peers / "bin" / "python"
    try:
        if not python.exists():
            venv.create(peers, with_pip=True)
            install = [str(python), "-m", "pip", "install", "-q", "-r", str(HERE / "requirements-peers.txt")]
            subprocess.run(install, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"Great Expectations is left out: its environment cannot be made ({error})", file=sys.stderr)
        return Measured("Great Expectations", float("nan"), None, None, "未能安装", AT_HAND)
    silent = {**os.environ, "GX_ANALYTICS_ENABLED": "False"}
    program = [str(python), str(HERE / "record_rules_great_expectations.py"), str(judged)]
    done = json.loads(
        subprocess.run(program, check=True, capture_output=True, text=True, env=silent).stdout.splitlines()[-1]
    )
    found = +Counter(done["violations"])
    note = "数据已读入内存；写不成 expectation 的条件已事先算好"
    return Measured(f"Great Expectations {done['version']}", done["wall"], done["cpu"], found, note, AT_HAND)


# --- every rule --------------------------------------------------------------------------------------------------


def _every_rule(
    cat: Catalogue, ctx: Context, deliveries: dict[str, Delivery], county: list[Delivery], work: Path, write: bool
) -> str:
    asked = {form_id: [delivery] for form_id, delivery in deliveries.items()}
    title = (
        f"全县 {len({one.institution_code for one in county})} 家机构，{len({one.form_id for one in county})} 张表单"
    )
    rows = [_all_of_it(cat, ctx, of_form, work, form_id) for form_id, of_form in asked.items()]
    rows.append(_all_of_it(cat, ctx, county, work, title))
    header = ("表单", "检查项", "记录", "问题", "秒", "CPU 秒", "百万次判定/秒")
    return write_table("record_rules_all", header, rows, f"全部规则，夜间运行器的全部工作；{versions()}", write)


def _all_of_it(cat: Catalogue, ctx: Context, deliveries: list[Delivery], work: Path, title: str) -> tuple[str, ...]:
    """Findings with keys and texts, results, subjects present: a line of the table."""
    forms = sorted({delivery.form_id for delivery in deliveries})
    wall, cpu = timed(lambda: judge_records(cat, deliveries, ctx, work / "all", forms=forms))
    results = pl.read_parquet(work / "all" / "results.parquet")
    judgements, findings = int(results["checked"].sum()), int(results["violated"].sum())
    checks = sum(len(cat.checks(form_id)) for form_id in forms)
    records = sum(file.rows for delivery in deliveries for file in delivery.files)
    pace = f"{judgements / wall / 1e6:.0f}"
    return (title, f"{checks:,}", f"{records:,}", f"{findings:,}", seconds(wall), seconds(cpu), pace)


# --- telling -----------------------------------------------------------------------------------------------------


def timed(run: Callable[[], object], repeats: int = REPEATS) -> tuple[float, float]:
    """Seconds of the clock and of the processors, of the quickest run."""
    spent = []
    for _ in range(repeats):
        started, before = time.perf_counter(), time.process_time()
        run()
        spent.append((time.perf_counter() - started, time.process_time() - before))
    return min(spent)


def seconds(figure: float | None) -> str:
    return "" if figure is None else f"{figure:.2f}"


def versions() -> str:
    return f"polars {pl.__version__}，duckdb {duckdb.__version__}"


if __name__ == "__main__":
    main()
