"""The ``phqc`` program: reads the command line, calls, prints. Decides nothing.

Exit status (contract, section 1): 0 the run finished, 1 the run failed, 2 wrong usage or an invalid catalogue, plan or
registry header.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn
from zoneinfo import ZoneInfo

import typer

from phqc_pipeline.home import Home, parse_folder_date, resolve_home, resolve_rules

if TYPE_CHECKING:
    from phqc_pipeline.catalogue import Catalogue

FIRST_SNAPSHOT = date(2009, 1, 1)  # 国家基本公共卫生服务项目 began in 2009; contract, section 1
FAILED, WRONG_USAGE = 1, 2

app = typer.Typer(
    help="公共卫生信息质控：取数、质控、核对、计费，一夜一次。",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
rules_app = typer.Typer(help="规则库：校验、测试、列出、解释。", no_args_is_help=True)
app.add_typer(rules_app, name="rules")

HomeOption = Annotated[Path | None, typer.Option("--home", help="数据目录；默认取环境变量 PHQC_HOME，再默认 data/")]
ProfileOption = Annotated[str | None, typer.Option("--profile", help="本地参数（rules/profiles/ 里的 profile_id）")]
RulesOption = Annotated[Path | None, typer.Option("--rules", help="规则目录；默认取环境变量 PHQC_RULES，再默认 rules/")]


def main() -> None:
    """Entry point of the installed program."""
    app()


@app.command()
def sample(
    home: HomeOption = None,
    rules: RulesOption = None,
    institutions: Annotated[int, typer.Option(min=1, help="机构数")] = 1,
    residents: Annotated[int | None, typer.Option(min=20, help="居民总数；默认为首家合同机构的规模")] = None,
    snapshot: Annotated[str | None, typer.Option("--date", help="数据日期 YYYY-MM-DD")] = None,
    seed: Annotated[int, typer.Option(help="随机种子：同一种子得到同样的文件")] = 1,
) -> None:
    """写出演示数据：各机构的导出文件、登记资料和差错答案。"""
    from phqc_pipeline.sample import DEFAULT_SNAPSHOT, SampleRefusedError, write_sample

    where = resolve_home(home)
    cat = _catalogue(rules)
    day = DEFAULT_SNAPSHOT if snapshot is None else _snapshot_date(snapshot)
    with _failures():
        try:
            written = write_sample(
                where, cat, institutions=institutions, residents=residents, snapshot=day, seed=seed, log=typer.echo
            )
        except SampleRefusedError as refused:
            _refuse(str(refused))
    typer.echo(written.describe())


@app.command()
def nightly(
    home: HomeOption = None,
    rules: RulesOption = None,
    snapshot: Annotated[str | None, typer.Option("--date", help="数据日期；默认为最近一个有数据的日期")] = None,
    plan: Annotated[str, typer.Option(help="质控计划")] = "nightly",
    institution: Annotated[
        list[str] | None, typer.Option(help="只判这家机构（机构编码），可写几次；不写即计划内的全部")
    ] = None,
    demo: Annotated[bool, typer.Option("--demo", hidden=True, help="没有数据时先生成演示数据")] = False,
) -> None:
    """运行一夜质控：取数、判定、整改跟踪、核对、计费、发布。"""
    started = time.monotonic()
    where = resolve_home(home)
    wanted = None if snapshot is None else _snapshot_date(snapshot)
    cat = _catalogue(rules, where)
    if plan not in cat.plans:
        _refuse(f"没有质控计划 {plan!r}，现有：{'、'.join(sorted(cat.plans)) or '（无）'}")
    if not cat.plans[plan].active:
        _refuse(f"质控计划 {plan} 已停用：在 rules/plans/ 里把它的 active 改为 true，或换一个计划")
    dates = where.landing_dates()
    if demo and not dates:
        typer.echo("交付目录是空的，先生成演示数据……")
        sample(home=home, rules=rules)
        dates = where.landing_dates()
    today = datetime.now(ZoneInfo("Asia/Shanghai")).date()
    usable = [day for day in dates if FIRST_SNAPSHOT <= day <= (wanted or today)]
    if not usable:
        until = "" if wanted is None else f" {wanted.isoformat()} 及以前的"
        _refuse(f"{where.landing} 下没有{until}交付（应为 landing/<机构编码>/<YYYY-MM-DD>/）")
    day = wanted or usable[-1]
    with _failures():
        from phqc_pipeline.extracts import read_registry

        registry = read_registry(where, cat)  # one that cannot be used is wrong usage, told before anything is run
        from phqc_pipeline.orchestration.run import run_night
        from phqc_pipeline.orchestration.session import strangers_said

        if strangers := strangers_said(where, registry, institution or ()):
            _refuse(strangers)

        outcome = run_night(where, cat, day, plan, institution or ())
        if outcome.error:
            typer.echo(outcome.error, err=True)
            raise typer.Exit(FAILED)
        from phqc_pipeline.reports import night_summary

        seconds = time.monotonic() - started
        typer.echo(night_summary(where.published_db, outcome.published, outcome.folders, seconds, plan))


@app.command()
def replay(
    snapshot: Annotated[str, typer.Option("--date", help="重放哪一夜 YYYY-MM-DD")],
    home: HomeOption = None,
    plan: Annotated[str | None, typer.Option(help="只重放这个质控计划；不写即那一天的全部")] = None,
    out: Annotated[Path | None, typer.Option("--out", help="把重放的判定结果另存到这个文件夹")] = None,
) -> None:
    """用当时的数据、规则目录和登记资料重判过去的一夜，与当夜的记录核对；不改动数据目录里的任何结果。"""
    from phqc_pipeline.orchestration.lock import hold_home
    from phqc_pipeline.orchestration.replay import ReplayError
    from phqc_pipeline.orchestration.replay import replay as judge_again

    where, day, same = resolve_home(home), _snapshot_date(snapshot), True
    with _failures():
        try:
            with hold_home(where, f"重放 {day}", say=typer.echo):
                for one in judge_again(where, day, plan, out):
                    same &= one.is_same
                    typer.echo(one.describe())
        except ReplayError as missing:
            _refuse(str(missing))
    if not same:
        raise typer.Exit(FAILED)


@app.command()
def accept(file_id: str, home: HomeOption = None, rules: RulesOption = None) -> None:
    """放行一份因行数骤减而暂缓的交付（FILE_ID 见 ingest.file）。"""
    from phqc_pipeline.extracts import accept_file

    where = resolve_home(home)
    cat = _catalogue(rules)
    try:
        said = accept_file(where, cat, file_id)
    except LookupError as unknown:
        _refuse(str(unknown.args[0] if unknown.args else unknown))
    typer.echo(said or f"已放行 {file_id}，下一次质控起生效")


@app.command()
def bill(
    home: HomeOption = None,
    rules: RulesOption = None,
    day: Annotated[str | None, typer.Option("--date", help="截至哪一天；默认为最近一夜")] = None,
    institution: Annotated[list[str] | None, typer.Option(help="只给这家机构出文书，可写几次")] = None,
    annual: Annotated[bool, typer.Option("--annual", help="服务期没满的也出年度服务报告")] = False,
    pdf: Annotated[bool, typer.Option(help="装有 LibreOffice 时另存 PDF")] = True,
    templates: Annotated[bool, typer.Option("--templates", help="只把文书模板放到 templates/ 供修改")] = False,
) -> None:
    """计费：结算单、付款通知、确认单、续约通知、年度报告和会计对账表。"""
    from phqc_pipeline.billing import bill_of, issue
    from phqc_pipeline.billing.documents import lay_out_templates
    from phqc_pipeline.billing.summary import bill_summary
    from phqc_pipeline.billing.word_templates import TemplateFaultError

    where = resolve_home(home)
    if templates:
        laid = lay_out_templates(where)
        typer.echo("\n".join(map(str, laid)) or f"模板已在 {where.templates}，没有改动")
        return
    cat = _catalogue(rules)
    with _failures():
        from phqc_pipeline.extracts import read_registry
        from phqc_pipeline.orchestration.lock import hold_home
        from phqc_pipeline.warehouse import list_nights, read_night

        registry = read_registry(where, cat)
        days = [date.fromisoformat(read_night(night)["snapshot_date"]) for night in list_nights(where)]
        until = _snapshot_date(day) if day is not None else max(days, default=None)
        if until is None:
            _refuse(f"{where.root} 还没有质控过，请用 --date 写明截至哪一天")
        ordering = set() if registry.orders is None else set(registry.orders["institution_code"])
        strange = sorted(set(institution or ()) - ordering)
        if strange:
            _refuse(f"order.csv 里没有机构 {'、'.join(strange)} 的订单")
        with hold_home(where, "计费", say=typer.echo):
            made = bill_of(where, cat, registry, until)
            only = frozenset(institution) if institution else None
            try:
                issued = issue(where, cat, registry, made, annual=annual, pdf=pdf, only=only)
            except TemplateFaultError as fault:
                typer.echo(f"文书没有写完：{fault}", err=True)
                raise typer.Exit(FAILED) from None
        typer.echo(bill_summary(issued, registry.problems))


@app.command()
def ui(
    home: HomeOption = None,
    rules: RulesOption = None,
    port: Annotated[int, typer.Option(min=1, max=65535, help="网页端口")] = 3000,
    host: Annotated[str, typer.Option(help="监听地址")] = "127.0.0.1",
) -> None:
    """打开 Dagster 网页界面和守护进程（计划任务、交付监视都在其中）。"""
    from phqc_pipeline.home import PROJECT_DIR
    from phqc_pipeline.orchestration.instance import prepare_instance

    where = resolve_home(home)
    _catalogue(rules)
    prepare_instance(where)
    program = str(Path(sys.executable).with_name("dagster"))
    environment = {**os.environ, **_environment(where, rules)}
    arguments = [program, "dev", "-w", str(PROJECT_DIR / "workspace.yaml"), "-h", host, "-p", str(port)]
    os.execve(program, arguments, environment)


@rules_app.command("check")
def rules_check(rules: RulesOption = None) -> None:
    """校验规则目录，一次列出全部错误。"""
    from phqc_pipeline.catalogue import commands

    typer.echo(commands.summary(_catalogue(rules)))


@rules_app.command("test")
def rules_test(rules: RulesOption = None, profile: ProfileOption = None) -> None:
    """用每条规则自带的例子测试规则（Polars 与 DuckDB 各一遍）；--profile 另说哪些例子因本地参数改变。"""
    from phqc_pipeline.catalogue import commands

    try:
        report = commands.test(_catalogue(rules), profile)
    except LookupError as unknown:
        _refuse(str(unknown.args[0] if unknown.args else unknown))
    typer.echo(report.text)
    if not report.passed:
        raise typer.Exit(FAILED)


@rules_app.command("mutate")
def rules_mutate(
    rule: Annotated[list[str] | None, typer.Argument(help="规则编号，可写几个；不写即全部记录规则")] = None,
    rules: RulesOption = None,
    form: Annotated[str | None, typer.Option(help="只查这张表单的规则")] = None,
) -> None:
    """变异证明：把每条规则改动一小处，看它的样例能不能发现。"""
    from phqc_pipeline.catalogue import commands

    try:
        proof = commands.mutate(_catalogue(rules), rule or (), form)
    except LookupError as unknown:
        _refuse(str(unknown.args[0] if unknown.args else unknown))
    typer.echo(proof.text)
    if not proof.passed:
        raise typer.Exit(FAILED)


@rules_app.command("schema")
def rules_schema(
    rules: RulesOption = None,
    out: Annotated[Path | None, typer.Option(help="写到哪个目录；默认是规则目录里的 json_schema/")] = None,
) -> None:
    """写出各种 YAML 的 JSON Schema，供编辑器补全和检查。"""
    from phqc_pipeline.catalogue.json_schema import FOLDER, write_schemas

    where = out or resolve_rules(rules) / FOLDER
    written = write_schemas(where)
    typer.echo(f"JSON Schema {len(written)} 份，在 {where}。用法见 rules/README.md“编辑器里的补全和检查”")


@rules_app.command("list")
def rules_list(
    rules: RulesOption = None,
    form: Annotated[str | None, typer.Option(help="只列这张表单的规则")] = None,
    dimension: Annotated[str | None, typer.Option(help="只列这个维度")] = None,
    severity: Annotated[str | None, typer.Option(help="只列这个级别")] = None,
) -> None:
    """列出规则。"""
    from phqc_pipeline.catalogue import commands

    typer.echo(commands.list_rules(_catalogue(rules), form=form, dimension=dimension, severity=severity))


@rules_app.command("show")
def rules_show(rule: str, rules: RulesOption = None, profile: ProfileOption = None) -> None:
    """解释一条规则：管谁、怎么判、SQL、例子、依据；--profile 说本地参数改了什么、为什么。"""
    from phqc_pipeline.catalogue import commands

    try:
        typer.echo(commands.show(_catalogue(rules), rule, profile))
    except LookupError as unknown:
        _refuse(str(unknown.args[0] if unknown.args else unknown))


@rules_app.command("diff")
def rules_diff(
    against: Annotated[str, typer.Option(help="与哪一版比：规则目录，或 git 版本（HEAD、分支、标签、提交号）")],
    home: HomeOption = None,
    rules: RulesOption = None,
    out: Annotated[Path | None, typer.Option("--out", help="把逐规则逐机构的全部差异另存为 CSV")] = None,
) -> None:
    """改规则前先试算：新旧两版规则各判一遍最近的数据，列出新增、消失、不变的问题和得分变化。"""
    from phqc_pipeline.catalogue import CatalogueError
    from phqc_pipeline.catalogue.faults import describe
    from phqc_pipeline.orchestration.lock import hold_home
    from phqc_pipeline.orchestration.rule_diff import DiffError, Version, compare_rules, version_of
    from phqc_pipeline.orchestration.rule_diff_text import describe_diff, write_csv

    where, after = resolve_home(home), _catalogue(rules)
    with _failures():
        try:
            with version_of(against, resolve_rules(rules)) as before, hold_home(where, "规则试算", say=typer.echo):
                told = compare_rules(where, before, Version(after))
        except DiffError as impossible:
            _refuse(str(impossible))
        except CatalogueError as invalid:
            _refuse(f"旧版规则目录（{against}）有误：\n{describe(invalid.faults)}")
    typer.echo(describe_diff(told, after))
    if out is not None:
        write_csv(told, out)
        typer.echo(f"全部差异已写入 {out}")


@rules_app.command("docs")
def rules_docs(
    rules: RulesOption = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="放在哪个文件夹；默认为数据目录下的 handbook/，旧的手册整个替换")
    ] = None,
) -> None:
    """生成规则手册：一条规则一页的网页，不联网也能打开、能搜索。"""
    from phqc_pipeline.catalogue import CatalogueError
    from phqc_pipeline.catalogue.faults import describe
    from phqc_pipeline.handbook import FolderTakenError, HandbookError, build_handbook

    cat = _catalogue(rules)
    try:
        built = build_handbook(cat, out or resolve_home().handbook)
    except CatalogueError as invalid:
        _refuse(describe(invalid.faults))
    except FolderTakenError as taken:
        _refuse(str(taken))
    except HandbookError as failure:
        typer.echo(str(failure), err=True)
        raise typer.Exit(FAILED) from None
    typer.echo(f"规则手册已生成：规则 {built.rules} 条，共 {built.pages} 页。用浏览器打开 {built.first_page}")


def _catalogue(rules: Path | None, home: Home | None = None) -> Catalogue:
    """The catalogue, or every fault of it (and of the registry of ``home``) on stderr and exit status 2."""
    from phqc_pipeline.catalogue import CatalogueError, load_catalogue
    from phqc_pipeline.catalogue.faults import describe

    where = resolve_rules(rules)
    os.environ.update(_environment(None, rules))
    try:
        return load_catalogue(where)
    except CatalogueError as invalid:
        typer.echo(describe(invalid.faults), err=True)
        if home is not None:
            with _failures():
                from phqc_pipeline.extracts import read_registry

                read_registry(home)
        raise typer.Exit(WRONG_USAGE) from None


def _environment(home: Home | None, rules: Path | None) -> dict[str, str]:
    """What a code location started from here must find in its environment."""
    found = {"PHQC_RULES": str(resolve_rules(rules))}
    if home is not None:
        # Dagster's own warnings about its commands tell an operator nothing he could act on.
        found |= {"PHQC_HOME": str(home.root), "DAGSTER_HOME": str(home.dagster), "PYTHONWARNINGS": "ignore"}
    return found


def _snapshot_date(text: str) -> date:
    day = parse_folder_date(text)
    if day is None:
        _refuse(f"日期 {text!r} 无法识别，请写成 YYYY-MM-DD，例如 2024-12-31")
    today = datetime.now(ZoneInfo("Asia/Shanghai")).date()
    if not FIRST_SNAPSHOT <= day <= today:
        _refuse(f"数据日期 {day.isoformat()} 不在 {FIRST_SNAPSHOT.isoformat()} 至今天（{today.isoformat()}）之间")
    return day


def _refuse(reason: str) -> NoReturn:
    typer.echo(reason, err=True)
    raise typer.Exit(WRONG_USAGE)


@contextmanager
def _failures() -> Iterator[None]:
    """Turn what a run raises into a sentence and an exit status; a traceback could carry residents' data."""
    from phqc_pipeline.extracts import RegistryError

    try:
        yield
    except RegistryError as wrong:
        typer.echo("登记资料有误，未运行：", err=True)
        for line in wrong.faults:
            typer.echo(f"  {line}", err=True)
        raise typer.Exit(WRONG_USAGE) from None
    except (typer.Exit, KeyboardInterrupt):
        raise
    except Exception as failure:
        if os.environ.get("PHQC_DEBUG"):
            raise
        typer.echo(f"运行失败：{type(failure).__name__}：{failure}", err=True)
        typer.echo("已发布的数据仓库未改动。排除原因后再运行一次即可。", err=True)
        raise typer.Exit(FAILED) from None


if __name__ == "__main__":
    main()
