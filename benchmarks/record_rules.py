"""Record rules measured against their peers, in one run on the same data.

    .venv/bin/python benchmarks/record_rules.py [--rows 1000000] [--wide-rows 100000] [--without dbt,gx] [--write]

35 rules of the hypertension follow-up, every violating record with its key, by: the nightly runner; one DuckDB query
written by hand (``record_rules_by_hand.sql``); ``schema.validate``; one dbt test a rule; Great Expectations (in an
environment of its own). All must find the same, or nothing is printed. Then every rule of a middling and of the widest
form.
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
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import duckdb
import pandera.errors
import polars as pl

from phqc_pipeline.catalogue import Catalogue, Context, load_catalogue
from phqc_pipeline.checks import judge_records, schema_for
from phqc_pipeline.checks.evaluation import Evaluation
from phqc_pipeline.checks.lake import RECORD_KEY, Piece, lake_schema, pack, read_batch
from phqc_pipeline.checks.schemas import judgements_of
from phqc_pipeline.extracts import Books, Delivery, LakeFile, read_registry, take_in
from phqc_pipeline.home import DEFAULT_RULES, Home
from phqc_pipeline.sample import write_sample

HERE = Path(__file__).resolve().parent
BY_HAND = HERE / "record_rules_by_hand.sql"
SNAPSHOT = date(2024, 12, 31)
FORM, WIDE = "htn_followup", "health_exam"
BATCH_ROWS = 100_000
REPEATS = 3
MARKS = ("<!-- record_rules: begin -->", "<!-- record_rules: end -->")

Violations = Counter[str]  # rule → violating records


@dataclass(frozen=True)
class Measured:
    """One contender: the best of its runs in seconds of the clock and of the processors; None where not told."""

    name: str
    wall: float
    cpu: float | None
    found: Violations | None = None
    note: str = ""


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--rows", type=int, default=200_000)
    arguments.add_argument("--wide-rows", type=int, default=20_000)
    arguments.add_argument("--residents", type=int, default=3_000, help="whose records are repeated")
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
        told = [_peers_table(cat, ctx, middling, given.rows, work, without, given.peers)]
        told.append(_all_rules_table(cat, ctx, {FORM: middling, WIDE: wide}, work))
    text = "\n\n".join([_circumstances(given), *told])
    print(text)
    if given.write:
        _put_into_readme(text)


# --- data --------------------------------------------------------------------------------------------------------


def _sample(cat: Catalogue, root: Path, residents: int) -> dict[str, list[Path]]:
    """Lake files of a demonstration institution, by form."""
    home = Home(root)
    write_sample(home, cat, residents=residents, snapshot=SNAPSHOT)
    take_in(home, cat, read_registry(home), SNAPSHOT)
    in_force = Books(home, cat).in_force(SNAPSHOT)
    return {delivery.form_id: [file.path for file in delivery.files] for delivery in in_force}


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


def _peers_table(
    cat: Catalogue, ctx: Context, delivery: Delivery, rows: int, work: Path, without: set[str], peers: Path | None
) -> str:
    conditions = _conditions()
    contenders = [
        _runner(cat, ctx, delivery, work, list(conditions)),
        _evaluation(cat, ctx, delivery, list(conditions)),
        _by_hand(delivery, work),
    ]
    if "pandera" not in without:
        contenders.append(_schema_validate(cat, ctx, delivery, set(conditions)))
    judged = _judged_table(delivery, conditions, work)
    if "dbt" not in without:
        contenders.append(_dbt(judged, conditions, work))
    if "gx" not in without:
        contenders.append(_great_expectations(judged, peers or work / "peers"))
    expected = contenders[0].found
    for one in contenders:
        if one.found is not None and one.found != expected:
            differing = {rule for rule in conditions if one.found[rule] != (expected or {}).get(rule, 0)}
            raise SystemExit(f"{one.name} finds something else for {sorted(differing)}")
    ours = contenders[0].wall
    lines = [
        f"{len(conditions)} rules × {rows:,} records of `{FORM}`, {sum((expected or {}).values()):,} violations",
        "",
        "| by | seconds | CPU seconds | time of the runner × | |",
        "|---|---:|---:|---:|---|",
        *(
            f"| {one.name} | {one.wall:.2f} | {'' if one.cpu is None else f'{one.cpu:.2f}'} "
            f"| {one.wall / ours:.2f} | {one.note} |"
            for one in contenders
        ),
    ]
    return "\n".join(lines)


def _conditions() -> dict[str, str]:
    """Rule → SQL condition, as they stand in the query written by hand."""
    body = BY_HAND.read_text(encoding="utf-8").split("select unnest(list_filter([")[1]
    return {rule: text for text, rule in re.findall(r"case when (.*?)\s+then '([A-Z]+-[A-Z]-\d+)' end", body, re.S)}


def _runner(cat: Catalogue, ctx: Context, delivery: Delivery, work: Path, rules: Sequence[str]) -> Measured:
    out = work / "runner"

    def run() -> None:
        judge_records(cat, [delivery], ctx, out, forms=[FORM], rules=rules)

    wall, cpu = _timed(run)
    found = Counter(pl.read_parquet(out / "findings" / "*.parquet")["rule_id"].to_list())
    note = "all of a night's work: current rows, findings with messages, results, subjects present"
    return Measured("the nightly runner", wall, cpu, found, note)


def _evaluation(cat: Catalogue, ctx: Context, delivery: Delivery, rules: Sequence[str]) -> Measured:
    form = cat.form(FORM)
    judgements = [one for one in judgements_of(schema_for(cat, FORM, ctx)) if one.check.rule.rule_id in rules]
    evaluation = Evaluation(judgements)
    schema = lake_schema(form)
    columns = [name for name in schema if name in evaluation.columns | {RECORD_KEY}]
    file = delivery.files[0]
    found: Violations = Counter()

    def run() -> None:
        found.clear()
        for batch in pack([Piece(file.path, file.rows, 0, file.rows, 0, 0)], BATCH_ROWS):
            frame = read_batch(batch, columns, schema)
            keys = frame[RECORD_KEY]
            for violation in evaluation.violations(evaluation.flags(frame)):
                rule = evaluation.judgements[violation.position].check.rule.rule_id
                found[rule] += len(keys.gather(violation.rows))

    wall, cpu = _timed(run)
    note = "reading, the fused select, keys; drafts and voided records not left out"
    return Measured("its evaluation alone", wall, cpu, None, note)


def _by_hand(delivery: Delivery, work: Path) -> Measured:
    target = work / "by_hand.parquet"
    query = BY_HAND.read_text(encoding="utf-8").replace("$lake", f"'{delivery.files[0].path}'")

    def run() -> None:
        with duckdb.connect() as db:
            db.execute(f"COPY ({query}) TO '{target}' (FORMAT parquet)")

    wall, cpu = _timed(run)
    found = Counter(pl.read_parquet(target)["rule_id"].to_list())
    return Measured("one DuckDB query by hand", wall, cpu, found, "rule and key alone")


def _schema_validate(cat: Catalogue, ctx: Context, delivery: Delivery, rules: set[str]) -> Measured:
    schema = schema_for(cat, FORM, ctx)
    schema.checks = [check for check in schema.checks if check.name in rules]
    frame = pl.read_parquet(delivery.files[0].path).filter(pl.col("record_status").is_in(["1", "5"]).fill_null(True))
    found: Violations = Counter()

    def run() -> None:
        found.clear()
        try:
            schema.validate(frame, lazy=True)
        except pandera.errors.SchemaErrors as errors:
            for error in errors.schema_errors:
                found[error.check.name] = error.failure_cases.height

    wall, cpu = _timed(run, repeats=1)
    return Measured("`schema.validate(lazy=True)`", wall, cpu, found, "on a frame already read")


def _judged_table(delivery: Delivery, conditions: dict[str, str], work: Path) -> Path:
    """The judged records as the query by hand prepares them, for dbt and Great Expectations; not timed."""
    target = work / "judged.parquet"
    query = BY_HAND.read_text(encoding="utf-8").replace("$lake", f"'{delivery.files[0].path}'")
    head = query.split("select unnest(list_filter([")[0]
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
    return Measured("one dbt test a rule", wall, None, +found, "on a table already built; its start included")


def _great_expectations(judged: Path, peers: Path) -> Measured:
    python = peers / "bin" / "python"
    try:
        if not python.exists():
            venv.create(peers, with_pip=True)
            install = [str(python), "-m", "pip", "install", "-q", "-r", str(HERE / "requirements-peers.txt")]
            subprocess.run(install, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"Great Expectations is left out: its environment cannot be made ({error})", file=sys.stderr)
        return Measured("Great Expectations", float("nan"), None, None, "could not be installed")
    silent = {**os.environ, "GX_ANALYTICS_ENABLED": "False", "TQDM_DISABLE": "1"}
    program = [str(python), str(HERE / "record_rules_great_expectations.py"), str(judged)]
    done = json.loads(
        subprocess.run(program, check=True, stdout=subprocess.PIPE, text=True, env=silent).stdout.splitlines()[-1]
    )
    found = +Counter(done["violations"])
    note = "on a data frame already read; what no expectation can state was computed before"
    return Measured(f"Great Expectations {done['version']}", done["wall"], done["cpu"], found, note)


# --- every rule --------------------------------------------------------------------------------------------------


def _all_rules_table(cat: Catalogue, ctx: Context, deliveries: dict[str, Delivery], work: Path) -> str:
    lines = [
        "Every rule of a form, by the nightly runner",
        "",
        "| form | checks | records | findings | seconds | CPU seconds | million rule × record a second |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for form_id, delivery in deliveries.items():
        done = {}

        def run(form_id: str = form_id, delivery: Delivery = delivery, done: dict = done) -> None:
            done["it"] = judge_records(cat, [delivery], ctx, work / form_id, forms=[form_id])

        wall, cpu = _timed(run)
        it = done["it"]
        lines.append(
            f"| `{form_id}` | {len(cat.checks(form_id))} | {it.records_judged:,} | {it.findings:,} "
            f"| {wall:.2f} | {cpu:.2f} | {it.evaluations / wall / 1e6:.0f} |"
        )
    return "\n".join(lines)


# --- telling -----------------------------------------------------------------------------------------------------


def _timed(run: Callable[[], None], repeats: int = REPEATS) -> tuple[float, float]:
    """Seconds of the clock and of the processors, of the quickest run."""
    spent = []
    for _ in range(repeats):
        started, before = time.perf_counter(), time.process_time()
        run()
        spent.append((time.perf_counter() - started, time.process_time() - before))
    return min(spent)


def _circumstances(given: argparse.Namespace) -> str:
    versions = ", ".join(f"{name} {module.__version__}" for name, module in (("polars", pl), ("duckdb", duckdb)))
    return (
        f"`benchmarks/record_rules.py --rows {given.rows} --wide-rows {given.wide_rows}`, {os.cpu_count()} cores,"
        f" Python {sys.version.split()[0]}, {versions}."
    )


def _put_into_readme(text: str) -> None:
    """Between the two marks of README.md; at its end when they are not there yet."""
    readme = HERE / "README.md"
    old = readme.read_text(encoding="utf-8") if readme.exists() else "# Benchmarks\n"
    block = f"{MARKS[0]}\n{text}\n{MARKS[1]}"
    if MARKS[0] in old:
        before, rest = old.split(MARKS[0])
        new = before + block + rest.split(MARKS[1])[1]
    else:
        new = f"{old.rstrip()}\n\n## Record rules\n\n{block}\n"
    readme.write_text(new, encoding="utf-8")


if __name__ == "__main__":
    main()
