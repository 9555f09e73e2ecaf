"""What a health centre opens: the workbook holds every open finding and no formulas, the pages need no internet."""

from __future__ import annotations

import csv
import re
from datetime import date, datetime
from functools import cache
from pathlib import Path

import docx
import duckdb
import openpyxl
import polars as pl
import pytest
from openpyxl.utils import get_column_letter

from phqc_pipeline.home import Home
from phqc_pipeline.reports import write_reports
from tests.end_to_end.tiny import INSTITUTION, catalogue, deliver, judge, register, visits

BOOK, PAGE, EVERYBODY = "整改清单.xlsx", "质控报告.html", "全部机构"
CODES = ("654301103901", "654301104901")


@cache
def opened(path: Path) -> openpyxl.Workbook:
    return openpyxl.load_workbook(path)


def book_lines(path: Path) -> list[dict[str, object]]:
    """The lines of every sheet that has cells to answer in."""
    lines = []
    for sheet in opened(path).worksheets:
        header, *rows = sheet.iter_rows(values_only=True)
        if "问题编号" in header and sheet.title != "已豁免":
            lines += [dict(zip(map(str, header), row, strict=True)) for row in rows]
    return lines


def test_workbook_has_one_line_for_each_root(small_home: Path, small: duckdb.DuckDBPyConnection) -> None:
    """Every open finding is in a line of its own, or counted in that of its root (0a.23)."""
    counts = small.execute(
        "SELECT institution_code, count(DISTINCT root_id), count(*) FROM qc.finding_current "
        "WHERE state <> 'waived' GROUP BY 1"
    ).fetchall()
    assert any(findings > roots for _, roots, findings in counts)
    for code, roots, findings in counts:
        lines = book_lines(small_home / "published" / code / BOOK)
        assert len(lines) == roots
        assert sum(int(line["涉及处数"] or 1) for line in lines) == findings
        assert all(line["问题"] and line["规则编号"] and line["依据"] for line in lines)
        known = small.execute(
            "SELECT count(*) FROM qc.finding_current WHERE institution_code = ? AND list_contains(?, finding_id)",
            [code, [str(line["问题编号"]) for line in lines]],
        ).fetchone()
        assert known == (roots,)


def test_workbook_leads_to_the_record_and_shows_it_in_full(small_home: Path, small: duckdb.DuckDBPyConnection) -> None:
    """Name, file and row, and the values that ``qc`` masks: this is the institution's own data."""
    shown = 0
    for code in [path.name for path in (small_home / "published").glob("65*")]:
        lines = {line["问题编号"]: line for line in book_lines(small_home / "published" / code / BOOK)}
        masked = small.execute(
            "SELECT finding_id, rec.person_name, rec.id_card_no, rec._row_number, rec.visit_date, f.message "
            "FROM qc.finding_current f JOIN records.htn_followup rec ON rec._record_key = f.subject_id "
            "AND rec._institution_code = f.institution_code "
            "WHERE f.form_id = 'htn_followup' AND f.institution_code = ?",
            [code],
        ).fetchall()
        for finding_id, name, number, row, day, message in masked:
            if (line := lines.get(finding_id)) is None:
                continue
            assert (line["姓名"] or name, line["来源行"]) == (name or line["姓名"], row)
            if isinstance(line["服务日期"], datetime) and day is not None:
                assert line["服务日期"].date() == day
            if number and number[:4] + "*" in message:
                assert number in str(line["问题"])
                shown += 1
    assert shown


def test_workbook_can_be_filtered_and_answered(small_home: Path) -> None:
    path = next((small_home / "published").glob("65*")) / BOOK
    for sheet in opened(path).worksheets[1:]:
        header = [cell.value for cell in sheet[1]]
        assert sheet.freeze_panes is not None
        assert sheet.auto_filter.ref == sheet.dimensions
        answer = next(one for one in sheet.data_validations.dataValidation if one.type == "list")
        assert answer.formula1 == '"已改,申诉,说明"'
        first = sheet.cell(2, header.index("处理结果") + 1)
        assert first.coordinate in answer.sqref
        assert not first.protection.locked
        assert sheet.cell(2, header.index("问题") + 1).protection.locked
        assert sheet.protection.sheet
        assert sheet.protection.password is None
        assert sheet.column_dimensions[get_column_letter(header.index("问题编号") + 1)].hidden


EVIL = "=cmd|' /C calc'!A0"


@pytest.fixture(scope="module")
def tiny_home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A school of three pupils, one of whom has a formula for a name."""
    home = register(tmp_path_factory.mktemp("school"))
    deliver(home, "2024-12-31", visits(3, v1={"person_name": EVIL, "glasses_code": EVIL}))
    judge(home, "2024-12-31")
    return home


def test_a_cell_that_looks_like_a_formula_stays_text(tiny_home: Home) -> None:
    folder = tiny_home.published / INSTITUTION
    seen = [
        cell
        for sheet in openpyxl.load_workbook(folder / BOOK).worksheets
        for row in sheet.iter_rows()
        for cell in row
        if str(cell.value).startswith("=")
    ]
    assert EVIL in [cell.value for cell in seen]
    assert all(cell.data_type == "s" and cell.quotePrefix for cell in seen)
    assert "<script" not in (folder / PAGE).read_text(encoding="utf-8")


def test_pages_are_self_contained_and_hold_no_names(small_home: Path, small: duckdb.DuckDBPyConnection) -> None:
    names = {name for (name,) in small.execute("SELECT DISTINCT person_name FROM records.resident_profile").fetchall()}
    doctors = {name for (name,) in small.execute("SELECT DISTINCT doctor_name FROM qc.finding").fetchall()}
    residents = [name for name in names - doctors if name and len(name) >= 4]
    pages = list((small_home / "published").glob(f"*/{PAGE}"))
    assert len(pages) == 3
    for page in pages:
        text = page.read_text(encoding="utf-8")
        loads = re.findall(r'(?:src|href)\s*=\s*"?([^"\s>]+)|@import|url\((?!#)', text)
        assert [load for load in loads if not load.startswith("#")] == [], "the page would fetch something"
        assert [name for name in residents if name in text] == []
    everybody = (small_home / "published" / EVERYBODY / PAGE).read_text(encoding="utf-8")
    assert not re.search(r"\d{9}|\*", re.sub(r"<(svg|style).*?</\1>|\d{12}", "", everybody, flags=re.DOTALL))


def test_corrections_are_what_the_record_itself_says(small_home: Path, small: duckdb.DuckDBPyConnection) -> None:
    """Recomputed here from the published records: the identity number's own digits, weight by height squared."""
    checked = set()
    for path in (small_home / "published").glob("*/建议更正清单.csv"):
        with path.open(encoding="utf-8-sig", newline="") as file:
            listed = {line["问题编号"]: line for line in csv.DictReader(file)}
        findings = small.execute(
            "SELECT finding_id, form_id, subject_id, field FROM qc.finding_current "
            "WHERE state <> 'waived' AND institution_code = ? AND list_contains(?, finding_id)",
            [path.parent.name, list(listed)],
        ).fetchall()
        assert len(findings) == len(listed)
        for finding_id, form_id, subject, field in findings:
            expression = {
                "sex_code": "CASE WHEN substr(id_card_no, 17, 1)::INT % 2 = 1 THEN '1' ELSE '2' END",
                "birth_date": "strftime(strptime(substr(id_card_no, 7, 8), '%Y%m%d'), '%Y-%m-%d')",
                "bmi": "round(weight_kg / (height_cm / 100) ** 2, 1)::VARCHAR",
            }.get(field)
            line = listed[finding_id]
            if expression is None or line["规则编号"] == "COM-F-022":
                continue
            (said,) = small.execute(
                f'SELECT {expression} FROM records."{form_id}" WHERE _record_key = ? AND _institution_code = ?',
                [subject, path.parent.name],
            ).fetchone()
            assert line["新值"] == said.removesuffix(".0")
            assert line["新值"] != line["原值"]
            assert line["理由"]
            checked.add(field)
    assert checked == {"sex_code", "birth_date", "bmi"}


def test_import_files_hold_the_same_corrections_in_the_forms_own_columns(small_home: Path) -> None:
    for folder in (small_home / "published").glob("65*"):
        with (folder / "建议更正清单.csv").open(encoding="utf-8-sig", newline="") as file:
            listed = sorted((line["记录编号"], line["栏目"], line["新值"]) for line in csv.DictReader(file))
        found = []
        for path in folder.glob("建议更正_*.csv"):
            with path.open(encoding="utf-8-sig", newline="") as file:
                for row in csv.DictReader(file):
                    assert row.pop("更正依据")
                    row.pop("健康档案编号", None)
                    found += [(row["记录编号"], title, cell) for title, cell in row.items() if cell]
        assert sorted(one for one in found if one[1] != "记录编号") == listed


def words(path: Path) -> str:
    document = docx.Document(str(path))
    cells = [cell.text for table in document.tables for row in table.rows for cell in row.cells]
    return "\n".join([*(paragraph.text for paragraph in document.paragraphs), *cells])


def test_documents_say_the_figures_and_nothing_of_a_person(small_home: Path, small: duckdb.DuckDBPyConnection) -> None:
    (findings,) = small.execute("SELECT count(*) FROM qc.finding_current WHERE state <> 'waived'").fetchone()
    bulletin = words(small_home / "published" / EVERYBODY / "通报.docx")
    assert f"待整改问题{findings:,}个" in bulletin
    for code, name, score in small.execute(
        "SELECT institution_code, institution_name, score FROM mart.score WHERE judging AND level = 'institution'"
    ).fetchall():
        letter = words(small_home / "published" / code / "反馈函.docx")
        assert letter.count(name)
        assert f"得分{score:.1f}分" in letter
        assert name in bulletin
        assert "{{" not in letter + bulletin
    assert not re.search(r"\d{15}", bulletin)


def test_a_clerks_own_template_is_used_unless_it_is_broken(tiny_home: Home, tmp_path: Path) -> None:
    templates = tmp_path / "templates"
    templates.mkdir()
    for name, text in (("反馈函.docx", "{{ institution }}另有{{ findings }}个问题"), ("通报.docx", "{{ nonsense }}")):
        document = docx.Document()
        document.add_paragraph(text)
        document.save(str(templates / name))
    said: list[str] = []
    institutions = pl.read_csv(tiny_home.registry / "institution.csv", infer_schema=False)
    written, day = tmp_path / "published", date(2024, 12, 31)
    folders = write_reports(tiny_home.published_db, written, catalogue(), institutions, day, templates, said.append)
    assert re.fullmatch(r"\S+另有[\d,]+个问题", words(folders[0] / "反馈函.docx").strip())
    assert "数据质量情况的通报" in words(written / EVERYBODY / "通报.docx")
    assert len(said) == 1
    assert "nonsense" in said[0]


def test_due_list_names_whom_to_call(small_home: Path, small: duckdb.DuckDBPyConnection) -> None:
    counts = small.execute("SELECT institution_code, count(*) FROM mart.due_list GROUP BY 1").fetchall()
    assert counts
    for code, count in counts:
        header, *lines = (
            opened(small_home / "published" / code / "应做名单.xlsx").worksheets[0].iter_rows(values_only=True)
        )
        assert len(lines) == count
        place = {title: number for number, title in enumerate(header)}
        assert any(line[place["姓名"]] and line[place["联系电话"]] for line in lines)
        late = [line[place["最晚日期"]] for line in lines]
        assert late == sorted(late)
        assert {line[place["状态"]] for line in lines} <= {"逾期", "本月应做", "将到期"}


def test_pages_name_the_archives_of_a_difference_and_set_institutions_beside_each_other(
    small_home: Path, small: duckdb.DuckDBPyConnection
) -> None:
    """Not only that a figure differs by three: which three, for whoever may know; all institutions' indicators."""
    pages = {code: (small_home / "published" / code / PAGE).read_text("utf-8") for code in (*CODES, EVERYBODY)}
    for code in CODES:
        (named,) = small.execute(
            "SELECT list(DISTINCT archive_no) FROM (FROM report.difference d "
            "JOIN report.reconciliation r USING (institution_code, report_id, item, year, period) "
            "WHERE institution_code = ? AND abs(r.difference) >= 2 AND archive_no IS NOT NULL "
            "QUALIFY count(*) OVER (PARTITION BY report_id, item, year, period, cause) <= 60)",
            [code],
        ).fetchone()
        assert named
        assert [one for one in named if one not in pages[code]] == []
        assert [one for one in named if one in pages[EVERYBODY]] == []
    values = small.execute(
        "SELECT format('{:.2f}', v.value), v.indicator_title FROM indicator.value v "
        "WHERE year = 2024 AND period = 'Q3' AND value IS NOT NULL AND target IS NOT NULL"
    ).fetchall()
    table = pages[EVERYBODY].split("各机构的指标", 1)[1]
    assert len({title for _, title in values}) > 3
    assert [one for one in values if not (one[0] in table and one[1] in table)] == []
