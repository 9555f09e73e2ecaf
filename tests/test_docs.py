"""What the documentation says holds: links, commands, tables, generated pages, and every example worked through."""

from __future__ import annotations

import importlib.util
import re
import shutil
from collections.abc import Iterator, Mapping
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from types import ModuleType
from typing import Any

import duckdb
import polars as pl
import pytest
import typer.main
import yaml

from phqc_pipeline.catalogue import Catalogue, Context, load_catalogue
from phqc_pipeline.catalogue.examples import run_examples
from phqc_pipeline.checks import judge_records
from phqc_pipeline.cli import app
from phqc_pipeline.extracts import Books, read_registry, take_in
from phqc_pipeline.extracts.registry_files import FILES
from phqc_pipeline.home import DBT_PROJECT_DIR, DEFAULT_RULES, PROJECT_DIR, Home
from tests.warehouse import test_cross_rules as town_of_cases

DOCS = PROJECT_DIR / "docs"
DEPLOY = PROJECT_DIR / "deploy"
PAGES = sorted([PROJECT_DIR / "README.md", DEPLOY / "README.md", DEFAULT_RULES / "README.md", *DOCS.rglob("*.md")])
RULE_PAGE, FORM_PAGE = DOCS / "如何新增一条规则.md", DOCS / "如何新增一张表单.md"
CLERK_PAGE, WAREHOUSE_PAGE, INTERFACE_PAGE = DOCS / "接入一家机构.md", DOCS / "数据仓库.md", DOCS / "接口约定.md"
SCHEMAS = ("qc", "ingest", "records", "report", "indicator", "billing", "mart")

_FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
#: The first line of a block that belongs into a file: the file, and what is to be done there.
_BLOCK_HEAD = re.compile(r"(?:#|--) (\S+)，(加在末尾|新文件|替换 \S+|加在其他 @case 之后)")
_COUNTS = frozenset({"applicable", "violated", "checked", "records", "findings", "quantity"})


def relative(path: Path) -> str:
    return path.relative_to(PROJECT_DIR).as_posix()


def load_script(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # dataclasses look their module up while it is being made
    importlib.sys.modules[path.stem] = module  # type: ignore[attr-defined]
    spec.loader.exec_module(module)
    return module


def slug(heading: str) -> str:
    """The anchor a Markdown page gives a heading."""
    bare = re.sub(r"[`*]", "", heading).strip().lower()
    return re.sub(r"[^\w\- ]", "", bare).replace(" ", "-")


def prose(text: str) -> str:
    """A page without its fenced blocks."""
    return _FENCE.sub("", text)


def table_rows(text: str, heading: str) -> list[list[str]]:
    """The cells of the first table below a heading, without its header, backticks taken off."""
    below = text.split(f"\n{heading}\n", 1)[1]
    lines = re.search(r"^\|.*?(?=\n[^|]|\Z)", below, re.MULTILINE | re.DOTALL)
    assert lines is not None
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[0].splitlines()]
    return [[cell.replace("`", "") for cell in row] for row in rows[2:]]


# --- links, paths, commands -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_every_link_leads_somewhere(page: Path) -> None:
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page.read_text(encoding="utf-8"))):
        if "://" in target:
            continue
        name, _, anchor = target.partition("#")
        path = (page.parent / name).resolve() if name else page
        if not path.exists():
            broken.append(target)
        elif anchor:
            text = path.read_text(encoding="utf-8")
            anchors = {slug(heading) for heading in re.findall(r"^#+ (.+)$", prose(text), re.MULTILINE)}
            if anchor not in anchors | set(re.findall(r'<a id="([^"]+)">', text)):
                broken.append(target)
    assert not broken


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_every_file_of_the_project_that_is_named_exists(page: Path) -> None:
    folders = "rules|dbt_project|phqc_pipeline|docs|deploy|scripts|tests|requirements"
    named = re.findall(rf"`((?:{folders})/[\w./_-]+)`", page.read_text(encoding="utf-8"))
    # settings.yaml may be left out; nobody needs it until a figure is changed
    missing = {name for name in named if not (PROJECT_DIR / name).exists()} - {"rules/settings.yaml"}
    assert not missing


def shown_commands(text: str) -> Iterator[str]:
    """What follows ``phqc`` wherever a page shows it as a command."""
    lines = [line for _, block in _FENCE.findall(text) for line in block.splitlines()]
    for piece in [*lines, *_SPAN.findall(prose(text))]:
        yield from (found.strip() for found in re.findall(r"(?:^ *|&& |do |bin/)phqc ((?:[a-z]|--).*)", piece))


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_every_command_shown_exists(page: Path) -> None:
    wrong = [fault for shown in shown_commands(page.read_text(encoding="utf-8")) if (fault := command_fault(shown))]
    assert not wrong


def command_fault(shown: str) -> str:
    command: Any = typer.main.get_command(app)
    for token in re.sub(r"[\[\]]", "", shown).split():
        if re.match(r"[;|&>(（：，]", token):
            break
        if token.startswith("--"):
            options = {name for option in command.params for name in option.opts}
            if token == "--help":
                return ""
            if token not in options:
                return f"phqc {shown}: no option {token}"
        elif hasattr(command, "commands"):
            if token not in command.commands:
                return f"phqc {shown}: no command {token}"
            command = command.commands[token]
    return f"phqc {shown}: incomplete" if hasattr(command, "commands") else ""


def test_a_wrong_command_would_be_noticed() -> None:
    assert command_fault("rules check") == command_fault("nightly --home HOME [--date D]") == ""
    assert "chekc" in command_fault("rules chekc")
    assert "--day" in command_fault("nightly --day 2024-01-01")


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_every_make_target_shown_exists(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    targets = set(re.findall(r"(?:^|`|&& |wheels )make ([a-z]+)", text, re.MULTILINE))
    known = set(re.findall(r"^([a-z]+):", (PROJECT_DIR / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert targets <= known


# --- the warehouse --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def write_docs() -> ModuleType:
    return load_script(PROJECT_DIR / "scripts" / "write_docs.py")


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return load_catalogue(DEFAULT_RULES)


@pytest.fixture(scope="module")
def tables(write_docs: ModuleType, catalogue: Catalogue) -> Mapping[str, list[str]]:
    """Every published table → its columns."""
    return {table.full_name: [name for name, _ in table.columns] for table in write_docs.published_tables(catalogue)}


def test_generated_pages_are_current(write_docs: ModuleType, catalogue: Catalogue) -> None:
    stale = [path.name for path, text in write_docs.pages(catalogue).items() if path.read_text("utf-8") != text]
    assert not stale, f"{'、'.join(stale)} 不是最新，请运行 .venv/bin/python scripts/write_docs.py"


def test_every_published_column_has_a_comment(write_docs: ModuleType, catalogue: Catalogue) -> None:
    found = list(write_docs.published_tables(catalogue))
    assert {table.schema for table in found} == set(SCHEMAS)
    bare = [f"{table.full_name}.{name}" for table in found for name, comment in table.columns if not comment]
    assert not bare + [table.full_name for table in found if not table.comment]


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_every_table_named_is_published(page: Path, tables: Mapping[str, list[str]]) -> None:
    text = page.read_text("utf-8")
    named = re.findall(rf"(?<![\w/])((?:{'|'.join(SCHEMAS)})\.[a-z][a-z0-9_]*)(?:\.([a-z_]+))?\b", text)
    worked_out = {"records.family_contract"}  # made on the page that names it
    unknown = {table for table, _ in named if table not in tables} - worked_out
    assert not unknown
    columns = {f"{table}.{column}" for table, column in named if column and column not in tables[table]}
    assert not columns


def test_the_interface_names_columns_that_exist(tables: Mapping[str, list[str]]) -> None:
    rows = table_rows(INTERFACE_PAGE.read_text("utf-8"), "## 3. 发布的数据仓库")
    assert len(rows) == 12
    for table, columns in rows:
        if table in tables and not columns.startswith("同"):
            assert set(columns.split(", ")) <= set(tables[table]), table


def test_every_query_runs(tables: Mapping[str, list[str]]) -> None:
    with duckdb.connect() as connection:
        for schema in SCHEMAS:
            connection.execute(f"CREATE SCHEMA {schema}")
        for table, columns in tables.items():
            typed = ", ".join(f'"{name}" {"BIGINT" if name in _COUNTS else "VARCHAR"}' for name in columns)
            connection.execute(f"CREATE TABLE {table} ({typed})")
        asked = 0
        for page in PAGES:
            text = page.read_text("utf-8")
            blocks = [block for kind, block in _FENCE.findall(text) if kind == "sql" and page == WAREHOUSE_PAGE]
            queries = [query for block in blocks for query in block.split(";")]
            queries += re.findall(r"""\.sql\((?:\\"|')(.+?)(?:\\"|')\)""", text)
            for query in filter(str.strip, queries):
                connection.sql(query).fetchall()
                asked += 1
    assert asked > 8


# --- worked examples ------------------------------------------------------------------------------------------------


class Workshop:
    """A copy of rules/ and of the dbt project, with the blocks of a page put where the page says."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cases: list[str] = []
        self._added: list[tuple[Path, str]] = []
        shutil.copytree(DEFAULT_RULES, folder / "rules")
        shutil.copytree(DBT_PROJECT_DIR, folder / "dbt_project", ignore=shutil.ignore_patterns("target", "logs"))

    def blocks(self, page: Path) -> list[tuple[str, str, str]]:
        """(file, what to do, text) of every block that goes into a file."""
        found = []
        for _, block in _FENCE.findall(page.read_text("utf-8")):
            first, _, rest = block.partition("\n")
            if head := _BLOCK_HEAD.fullmatch(first):
                found.append((head[1], head[2], rest))
        return found

    def put(self, file: str, what: str, text: str) -> None:
        path = self.folder / file
        if what == "新文件":
            assert not (PROJECT_DIR / file).exists()
            path.write_text(text, encoding="utf-8")
        elif what == "加在末尾":
            path.write_text(path.read_text("utf-8") + text, encoding="utf-8")
            self._added.append((path, text))
        elif what.startswith("替换"):
            path, old = next(one for one in self._added if what.split()[1] in one[1])
            path.write_text(path.read_text("utf-8").replace(old, text), encoding="utf-8")
        else:
            self.cases.append(text)

    def catalogue(self) -> Catalogue:
        return load_catalogue(self.folder / "rules")


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """Every block of the two how-to pages in its place."""
    made = Workshop(tmp_path_factory.mktemp("workshop"))
    for page in (RULE_PAGE, FORM_PAGE):
        for block in made.blocks(page):
            made.put(*block)
    # Example three adds three lines below a model that is there already.
    described = made.folder / "dbt_project" / "models" / "cross" / "_cross.yml"
    blocks = [block for _, block in _FENCE.findall(RULE_PAGE.read_text("utf-8"))]
    (lines,) = [block for block in blocks if block.lstrip().startswith("- carries_rule")]
    head, model, rest = described.read_text("utf-8").partition("  - name: visit_gap\n")
    before, first, after = rest.partition("    data_tests:\n")
    described.write_text(head + model + before + first + lines + after, encoding="utf-8")
    return made


def test_the_pages_hold_the_examples_they_speak_of(workshop: Workshop) -> None:
    blocks = [file for page in (RULE_PAGE, FORM_PAGE) for file, _, _ in workshop.blocks(page)]
    assert len(blocks) == 12
    assert len(workshop.cases) == 1


def test_the_rules_load_and_their_examples_hold(workshop: Workshop) -> None:
    cat = workshop.catalogue()
    own = {rule.rule_id for rule in cat.rules} - {rule.rule_id for rule in load_catalogue(DEFAULT_RULES).rules}
    assert own == {"HTN-L-901", "COM-F-901", "DM-T-901", "XFM-X-901", "FDC-L-001"}
    assert [rule.version for rule in cat.versions("HTN-L-901")] == [1, 2]
    assert run_examples(cat, own) == []  # of the others, the catalogue's tests ask


def test_before_the_new_version_the_old_one_stands_alone(tmp_path: Path) -> None:
    made = Workshop(tmp_path)
    for file, what, text in made.blocks(RULE_PAGE):
        if not what.startswith("替换"):
            made.put(file, what, text)
    assert [rule.version for rule in made.catalogue().versions("HTN-L-901")] == [1]


def test_the_cross_rules_find_what_the_page_says(
    workshop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page's model and test case, with the harness of the cross rules' own tests."""
    monkeypatch.setattr(town_of_cases, "CASES", {})
    for case in workshop.cases:
        exec(compile(case, str(RULE_PAGE), "exec"), vars(town_of_cases))
    (build,) = town_of_cases.CASES.values()
    town = town_of_cases.Town()
    expected = build(town)
    seldom = town.person()
    town.visits(town_of_cases.DM, seldom, "0110 0701")
    expected.append(town_of_cases.Found("DM-T-901", seldom, town_of_cases.HERE, "173"))
    home = Home(tmp_path, dbt_project=workshop.folder / "dbt_project")
    outcome = town_of_cases._judge(home, workshop.catalogue(), town, {"page": expected}, {})
    new = outcome.findings.filter(pl.col("rule_id").str.ends_with("901"))
    found = new.select("rule_id", "subject_id", "institution_code", "observed").rows()
    assert sorted(found) == sorted(tuple(one)[:4] for one in expected)


def test_the_new_form_is_taken_in_and_judged_as_the_page_says(workshop: Workshop, tmp_path: Path) -> None:
    cat, home, day = workshop.catalogue(), Home(tmp_path), date(2024, 12, 31)
    text = FORM_PAGE.read_text("utf-8")
    (delivered,) = [block for kind, block in _FENCE.findall(text) if kind == "csv"]
    (name,) = re.findall(r"如 `(\S+\.csv)`", text)
    landing = home.landing / "654301101000" / day.isoformat()
    landing.mkdir(parents=True)
    (landing / name).write_text(delivered, encoding="utf-8")
    home.registry.mkdir()
    (home.registry / "institution.csv").write_text(
        "institution_code,institution_name,level,parent_code,region_code\n654301101000,红墩镇卫生院,,,\n", "utf-8"
    )
    take_in(home, cat, read_registry(home), day)
    judge_records(cat, Books(home, cat).in_force(day), Context.natural_year(day), tmp_path / "out")
    found = pl.read_parquet(tmp_path / "out" / "findings" / "*.parquet").select("subject_id", "rule_id", "field")
    told = [tuple(row[:3]) for row in table_rows(text, "## 5. 放一份文件，跑一夜")]
    assert sorted(found.rows()) == sorted(told)


# --- what a clerk reads ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "heading", ["## 文件被隔离", "### 状态“被替换”", "## 行被拒收", "## 采用了的文件，说明里写着什么"]
)
def test_every_reason_explained_is_one_the_program_gives(heading: str) -> None:
    program = "".join(path.read_text("utf-8") for path in (PROJECT_DIR / "phqc_pipeline" / "extracts").glob("*.py"))
    rows = table_rows(CLERK_PAGE.read_text("utf-8"), heading)
    assert rows
    unknown = [phrase for row in rows for phrase in row[0].split(" / ") if phrase not in program]
    assert not unknown


def test_every_reason_not_to_take_a_file_is_explained() -> None:
    """Each sentence a file can be quarantined with holds one of the phrases of the page's table."""
    rows = table_rows(CLERK_PAGE.read_text("utf-8"), "## 文件被隔离")
    explained = [phrase for row in rows for phrase in row[0].split(" / ")]
    folder = PROJECT_DIR / "phqc_pipeline" / "extracts"
    program = "".join(path.read_text("utf-8") for path in sorted(folder.glob("*.py")))
    sentences = re.findall(r'UnreadableError\(\s*f?"([^"]+)"', program)
    assert len(sentences) > 20
    whole = [said for said in sentences if not said.startswith(("{", "第 {"))]  # the others only pass one on
    missing = [said for said in whole if not any(phrase in said for phrase in explained)]
    assert not missing


@pytest.mark.parametrize("file", FILES.values(), ids=lambda file: file.stem)
def test_the_registry_is_described_column_by_column(file: Any) -> None:
    rows = table_rows(CLERK_PAGE.read_text("utf-8"), f"### {file.stem}.csv {file.title}")
    told = {name: must == "是" for names, must, _ in rows for name in names.split("、")}
    assert told == {column.name: column.required for column in file.columns}


def test_rulings_are_numbered_through() -> None:
    general, further = (DOCS / "decisions" / "rulings.md").read_text("utf-8").split("## 第二部分")
    for part, count in ((general, 24), (further, 60)):
        numbers = [int(number) for number in re.findall(r"^(\d+)\. ", part, re.MULTILINE)]
        assert numbers == list(range(1, len(numbers) + 1))
        assert len(numbers) >= count


def test_every_decision_is_in_the_index() -> None:
    index = (DOCS / "decisions" / "README.md").read_text("utf-8")
    pages = {path.name for path in (DOCS / "decisions").glob("*.md")} - {"README.md"}
    assert pages == set(re.findall(r"^\| \[[^\]]+\]\(([^)#]+)\)", index, re.MULTILINE))


# --- deployment -----------------------------------------------------------------------------------------------------


def test_the_services_find_what_they_start_and_read() -> None:
    environment = (DEPLOY / "phqc.env.example").read_text("utf-8")
    given = set(re.findall(r"^#?([A-Z_]+)=", environment, re.MULTILINE))
    settings = (DEPLOY / "dagster.yaml").read_text("utf-8")
    assert set(re.findall(r"env: (\w+)", settings)) <= given
    assert yaml.safe_load(settings)["telemetry"] == {"enabled": False}
    programs = {"phqc", "python", "dagster-daemon", "dagster-webserver"}
    for unit in (*DEPLOY.glob("*.service"), *DEPLOY.glob("*.timer")):
        text = unit.read_text("utf-8")
        assert unit.name in (DEPLOY / "README.md").read_text("utf-8")
        for line in re.findall(r"^ExecStart=(.+)$", text, re.MULTILINE):
            program, *arguments = line.split()
            assert Path(program).name in programs
            assert Path(program).is_relative_to("/opt/phqc/.venv/bin")
            for path in (Path(word) for word in arguments if word.startswith("/opt/phqc/")):
                assert (PROJECT_DIR / path.relative_to("/opt/phqc")).exists(), path
        assert "EnvironmentFile=/etc/phqc/phqc.env" in text or unit.suffix == ".timer"


def test_old_runs_are_purged_and_young_ones_stay(tmp_path: Path) -> None:
    import dagster

    purge = load_script(DEPLOY / "purge_runs.py").purge

    @dagster.op
    def nothing() -> None:
        pass

    @dagster.job
    def idle() -> None:
        nothing()

    with dagster.DagsterInstance.local_temp(str(tmp_path)) as instance:
        done = idle.execute_in_process(instance=instance)
        now = datetime.now(timezone.utc)
        assert purge(instance, now - timedelta(days=1)) == 0
        assert instance.get_runs_count() == 1
        assert purge(instance, now + timedelta(minutes=1)) == 1
        assert instance.get_runs_count() == 0
        assert not list(tmp_path.rglob(f"*{done.run_id}*"))
