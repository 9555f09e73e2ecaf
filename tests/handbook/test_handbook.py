"""The rule handbook: a page for every rule, links that lead somewhere, no network, a search that finds Chinese."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from phqc_pipeline.catalogue import CatalogueError, load_catalogue
from phqc_pipeline.catalogue.model import DIMENSIONS, SEVERITIES
from phqc_pipeline.catalogue.notes import read_notes
from phqc_pipeline.cli import app
from phqc_pipeline.handbook import FolderTakenError, HandbookError, build_handbook
from phqc_pipeline.handbook.search import ChinesePairs
from phqc_pipeline.home import DEFAULT_RULES
from tests.catalogue.small_catalogue import Small
from tests.handbook.site_checks import CHROMIUM, broken_links, found_in_browser, remote_loads

RULINGS = """\
# 口径裁定

7. **必填**：见 [表单字典](../表单字典.md) 和 [约定](../接口约定.md)，COM-C-013 报，NOT-A-001 没有。
"""
NOTES = "dimensions:\n" + "".join(
    f"  - {{dimension: {name}, meaning: {name}问的。, why: {name}要紧。, who: 责任医生。, how: 照原件改。}}\n"
    for name in DIMENSIONS
)
NOTES += "severities:\n" + "".join(f"  - {{severity: {name}, meaning: {name}的意思。}}\n" for name in SEVERITIES)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Small:
    made = Small(tmp_path_factory.mktemp("rules")).write("dimensions.yaml", NOTES)
    second = "\n    version: 2\n    title: 收缩压不大于舒张压\n".join(
        made.directory.joinpath("checks/visit.yaml")
        .read_text(encoding="utf-8")
        .removeprefix("rules:\n")
        .split("\n    title: 收缩压不大于舒张压\n")
    ).replace("valid_from: 2017-02-28", "valid_from: 2025-01-01\n    note: <b>*两版*</b> 见 0a.7")
    made.change("checks/visit.yaml", "valid_from: 2017-02-28", "valid_from: 2017-02-28\n    valid_to: 2024-12-31")
    return made.append("checks/visit.yaml", second)


@pytest.fixture(scope="module")
def site(small: Small, tmp_path_factory: pytest.TempPathFactory) -> Path:
    models, out = tmp_path_factory.mktemp("models"), tmp_path_factory.mktemp("site") / "handbook"
    (models / "same_day.sql").write_text("{% for rule in rules %}select 1 as 同日{% endfor %}", encoding="utf-8")
    (models / "rulings.md").write_text(RULINGS, encoding="utf-8")
    built = build_handbook(small.load(), out, models=models, rulings=models / "rulings.md")
    assert built.rules == 6
    return built.first_page.parent


def words(page: Path) -> str:
    """The text of a page's article on one line, without signs of markup."""
    article = re.search(r"<article.*?</article>", page.read_text(encoding="utf-8"), re.DOTALL)
    assert article
    return " ".join(html.unescape(re.sub(r"<[^>]+>", "", article.group())).split())


def test_every_rule_form_code_list_and_report_has_a_page(small: Small, site: Path) -> None:
    catalogue = small.load()
    expected = {f"rules/{rule.rule_id}" for rule in catalogue.rules} | {f"forms/{one}" for one in catalogue.forms}
    expected |= {f"codes/{one}" for one in catalogue.codes} | {f"reports/{one}" for one in catalogue.reports}
    expected |= {f"dimensions/{place + 1}" for place in range(len(DIMENSIONS))} | {"rulings", "parameters", "derived"}
    assert sorted(name for name in expected if not (site / f"{name}.html").is_file()) == []


def test_links_lead_somewhere_and_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    assert broken_links(site) == []
    assert remote_loads(site) == []


def test_the_checks_of_links_and_loads_can_fail(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text(
        '<p id="here"><a href="b.html">x</a><a href="#gone">x</a><a href="#here">x</a>'
        '<script src="//cdn.example/x.js"></script>',
        encoding="utf-8",
    )
    (tmp_path / "a.css").write_text(
        "@import 'http://localhost/y.css'; p { src: url(data:x//y) url('a.png') }", encoding="utf-8"
    )
    assert broken_links(tmp_path) == ["a.html: #gone", "a.html: //cdn.example/x.js", "a.html: b.html"]
    assert remote_loads(tmp_path) == ["a.css: http://localhost/y.css"]


def test_a_record_rule_is_explained_with_both_versions(site: Path) -> None:
    said = words(site / "rules" / "VIS-L-001.html")
    for sentence in (
        "第 2 版 2025-01-01 起",
        "第 1 版 2017-02-28 起至 2024-12-31",
        "血压 收缩压/舒张压 填反，周岁 岁",
        "分母（适用）：随访表里的有效记录中满足“收缩压 已填 且 周岁 ≥ 0”的",
        "分子（命中）：其中不满足“收缩压 > 舒张压”的",
        "逻辑性：逻辑性问的。逻辑性要紧。",
        "严重：严重的意思。",
        "改哪一格：收缩压 sbp",
        "按“舒张压”算得的值",
        "说明：<b>*两版*</b> 见 总则 7",
        "assert: sbp > dbp",
        "NOT sbp > dbp",
        "相等也算",
        "least",
    ):
        assert sentence in said, sentence


def test_other_kinds_of_rules(site: Path) -> None:
    per_field, cross = words(site / "rules/COM-F-014.html"), words(site / "rules/VIS-U-001.html")
    assert "展开成 3 项检查" in per_field
    assert "以“随访表·收缩压”为例，其中“收缩压的原值 < 60 或 收缩压的原值 > 280”的" in per_field
    assert "其中“同一档案同一天多于 {most} 条”的" in cross
    assert "随访表的 健康档案编号 archive_no、随访日期 visit_date" in cross
    assert "select 1 as 同日" in cross


def test_a_form_page_lists_rules_and_fields(site: Path) -> None:
    said = words(site / "forms" / "visit.html")
    assert "本表专属的规则（1 条）" in said
    assert "跨记录、跨表的规则（1 条）" in said
    assert re.search(r"收缩压 sbp 整数 mmHg 是 60～280 90～200 VIS-L-001 高压", said)
    assert "COM-C-013 报，NOT-A-001 没有" in words(site / "rulings.html")
    assert 'href="rules/COM-C-013.html"' in (site / "rulings.html").read_text(encoding="utf-8")


def test_the_index_of_the_search_holds_chinese_pairs(site: Path) -> None:
    written = (site / "searchindex.js").read_text(encoding="utf-8")
    index = json.loads(written.removeprefix("Search.setIndex(").removesuffix(")"))
    page = index["docnames"].index("rules/VIS-L-001")
    words_of_page = {
        word
        for terms in (index["terms"], index["titleterms"])
        for word, pages in terms.items()
        if page in (pages if isinstance(pages, list) else [pages])
    }
    assert {"收缩", "缩压", "未", "未能", "dbp", "vis-l-001"} <= words_of_page
    assert "收缩压" not in words_of_page
    assert ChinesePairs({}).split("血压HTN-L-001，肺 a_b") == ["血", "压", "血压", "HTN-L-001", "肺", "a_b"]


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")
def test_search_in_a_browser_opened_from_disk(site: Path) -> None:
    assert found_in_browser(site, "舒张压")[0] == ("rules/VIS-L-001.html", "VIS-L-001 收缩压不大于舒张压")
    assert found_in_browser(site, "com-f")[0] == ("rules/COM-F-014.html", "COM-F-014 超出可能范围")
    assert found_in_browser(site, "压张舒") == []


def test_the_handbook_replaces_a_handbook_and_nothing_else(small: Small, site: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("x", encoding="utf-8")
    with pytest.raises(FolderTakenError, match="里有别的文件"):
        build_handbook(small.load(), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
    stale = site / "rules" / "OLD-L-001.html"
    stale.write_text("", encoding="utf-8")
    broken = site.parent / "rulings.md"
    broken.write_text("# 裁定\n\n[去处](#没有这一节)\n", encoding="utf-8")
    with pytest.raises(HandbookError, match=r"rulings\.md"):
        build_handbook(small.load(), site, rulings=broken)
    assert stale.is_file()
    again = build_handbook(small.load(), site.parent / "again", rulings=None)
    assert not (again.first_page.parent / "rulings.html").exists()


def test_notes_are_checked(tmp_path: Path) -> None:
    assert set(read_notes(DEFAULT_RULES).dimensions) == set(DIMENSIONS)
    made = Small(tmp_path).write("dimensions.yaml", NOTES.replace("dimension: 真实性", "dimension: 真实"))
    with pytest.raises(CatalogueError) as caught:
        read_notes(made.directory)
    fault = caught.value.faults[0]
    assert (fault.line, fault.problem, fault.remedy) == (8, "没有“真实”", "是否应为“真实性”？")


def test_the_whole_handbook(tmp_path: Path) -> None:
    """The project's own catalogue through the command, once: it takes about 25 s."""
    out = tmp_path / "handbook"
    answer = CliRunner().invoke(app, ["rules", "docs", "--out", str(out)])
    assert answer.exit_code == 0, answer.output
    assert str(out / "index.html") in answer.output
    rules = {rule.rule_id for rule in load_catalogue(DEFAULT_RULES).rules}
    assert {path.stem for path in (out / "rules").glob("*.html")} == rules | {"index"}
    assert broken_links(out) == []
    assert remote_loads(out) == []
    if CHROMIUM is not None:
        assert found_in_browser(out, "HTN-L-001")[0][0] == "rules/HTN-L-001.html"
        pressure = [page for page, _ in found_in_browser(out, "血压")]
        assert "rules/HTN-L-001.html" in pressure
        assert all("身份证" in title for _, title in found_in_browser(out, "身份证")[:5])
