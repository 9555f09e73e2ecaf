"""A home with one small catalogue, and ways to put files into its landing folder."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timezone
from pathlib import Path

import polars as pl
import pytest

from phqc_pipeline.catalogue.model import Catalogue, Code, CodeList, Field, Form, Report, ReportItem
from phqc_pipeline.extracts import Books, Delivery, Intake, Registry, read_registry, take_in
from phqc_pipeline.home import Home

FIXTURES = Path(__file__).parent.parent / "fixtures" / "extracts"

INSTITUTION = "654301101"
DAY = date(2024, 12, 31)

CODES = {
    "CL_SEX": CodeList("CL_SEX", "性别", (Code("1", "男性", ("男", "M")), Code("2", "女性", ("女", "F")))),
    "CL_SYMPTOM": CodeList(
        "CL_SYMPTOM",
        "症状",
        (Code("1", "无症状", ("无",)), Code("2", "头痛头晕"), Code("10", "其他"), Code("11", "肝、胆不适")),
    ),
    "CL_URINE": CodeList("CL_URINE", "尿定性", (Code("1", "−", ("-", "阴性", "(-)")), Code("2", "±"))),
    "CL_SCORE": CodeList(
        "CL_SCORE", "进餐", (Code("0", "独立完成", ("可自理",)), Code("3", "需要协助"), Code("5", "无"))
    ),
    "CL_UNIT": CodeList("CL_UNIT", "用量单位", (Code("1", "mg", ("毫克",)), Code("3", "片"))),
}

FIELDS = (
    Field("record_id", "记录编号", "s(32)", "text", ("记录ID",), role="identifier", required="always", business=False),
    Field("archive_no", "健康档案编号", "s(17)", "text", role="identifier", required="always", business=False),
    Field("person_name", "姓名", "s(50)", "text", personal="name", business=False),
    Field("id_card_no", "身份证号", "s(18)", "text", role="identifier", personal="id_number", business=False),
    Field("sex_code", "性别", "code", "code", codes="CL_SEX", business=False),
    Field("birth_date", "出生日期", "date", "date", business=False),
    Field("institution_code", "机构编码", "s(22)", "text", ("机构代码",), role="identifier", business=False),
    Field("doctor_name", "责任医生/随访医生", "s(50)", "text", business=False),
    Field("created_at", "录入时间", "dt", "dt", business=False),
    Field("visit_date", "随访日期", "date", "date", required="always"),
    Field("diagnosed_on", "确诊时间", "ym", "ym"),
    Field("sbp", "收缩压", "int", "int", ("高压", "SBP"), unit="mmHg", required="always", scale=0),
    Field("weight_kg", "体重", "dec(4,1)", "dec", unit="kg", scale=1),
    Field("vision", "视力", "dec(2,1)", "dec", scale=1, text_values={"盲": "无光感", "光感": "仅有光感"}),
    Field("eat_score", "进餐", "int", "int", codes="CL_SCORE", scale=0),
    Field("symptom_codes", "症状", "multi", "multi", codes="CL_SYMPTOM"),
    Field("urine_code", "尿蛋白", "code", "code", codes="CL_URINE"),
    Field("drug_unit", "用量单位", "s(10)", "text", codes="CL_UNIT"),
    Field("note", "辅助检查*", "s(200)", "text"),
)

FORM = Form(
    "visit",
    "随访服务记录表",
    FIELDS,
    service_date="visit_date",
    aliases=("随访表",),
    own_names=frozenset(column.name for column in FIELDS if column.business),
    extract_fingerprint="one",
)
OTHER_FORM = Form("visit_extra", "补充记录表", FIELDS, service_date="visit_date", extract_fingerprint="two")
REPORT = Report(
    "r_archive",
    "城乡居民健康档案管理",
    (ReportItem("ehr_electronic", "已建立电子健康档案人数"), ReportItem("ehr_total", "档案总份数", ("总份数",))),
)


def catalogue(*forms: Form, reports: Sequence[Report] = (REPORT,)) -> Catalogue:
    chosen = forms or (FORM, OTHER_FORM)
    return Catalogue(
        directory=Path("rules"),
        forms={form.form_id: form for form in chosen},
        codes=CODES,
        derived={},
        reports={report.report_id: report for report in reports},
    )


@dataclass
class Landing:
    """A home being filled and read. ``lines`` collects what was logged."""

    home: Home
    cat: Catalogue = field(default_factory=catalogue)
    lines: list[str] = field(default_factory=list)

    @property
    def registry(self) -> Registry:
        return read_registry(self.home, self.cat)

    def folder(self, day: date = DAY, institution: str = INSTITUTION) -> Path:
        folder = self.home.landing / institution / day.isoformat()
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def put(
        self, name: str, content: bytes | str, *, day: date = DAY, institution: str = INSTITUTION, at: int = 0
    ) -> Path:
        """A file of the landing folder; ``at``: minutes after noon it was modified, so that order is plain."""
        path = self.folder(day, institution) / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        moment = datetime(2025, 1, 1, 12, tzinfo=timezone.utc).timestamp() + 60 * at
        os.utime(path, (moment, moment))
        return path

    def take(self, until: date = date(2030, 1, 1)) -> Intake:
        return take_in(self.home, self.cat, self.registry, until, self.lines.append)

    @property
    def books(self) -> Books:
        return Books(self.home, self.cat)

    def files(self) -> list[dict[str, object]]:
        return self.books.files(date(2030, 1, 1)).to_dicts()

    def statuses(self) -> dict[str, str]:
        return {str(row["path"]).rsplit("/", 1)[-1]: str(row["status"]) for row in self.files()}

    def only_file(self) -> dict[str, object]:
        (row,) = self.files()
        return row

    def in_force(self, on: date = DAY) -> Delivery:
        (delivery,) = self.books.in_force(on)
        return delivery

    def rows(self, on: date = DAY) -> pl.DataFrame:
        """The lake's rows in force of the only delivery."""
        return pl.concat(pl.read_parquet(file.path) for file in self.in_force(on).files)

    def rejected(self) -> list[dict[str, object]]:
        return [row for path in self.books.rejected(date(2030, 1, 1)) for row in pl.read_parquet(path).to_dicts()]


def csv_of(*rows: Sequence[str], header: Sequence[str] = ("记录编号", "随访日期", "收缩压")) -> str:
    return "".join(",".join(row) + "\r\n" for row in (header, *rows))


def visits(count: int, *, sbp: str = "120") -> str:
    """A plain CSV of that many rows."""
    return csv_of(*((f"V{number:05d}", "2024-05-01", sbp) for number in range(count)))


def write_registry(home: Home, text: str | None = None) -> None:
    home.registry.mkdir(parents=True, exist_ok=True)
    (home.registry / "institution.csv").write_text(
        text
        or "institution_code,institution_name,level,parent_code,region_code\n"
        "654301101,阿拉哈克镇中心卫生院,乡镇,654301,654301101\n"
        "654301101001,一村卫生室,村,654301101,654301101\n"
        "654301102,另一卫生院,乡镇,654301,654301102\n",
        encoding="utf-8",
    )


@pytest.fixture
def landing(tmp_path: Path) -> Landing:
    home = Home(tmp_path / "home")
    write_registry(home)
    return Landing(home)


@pytest.fixture
def put(landing: Landing) -> Callable[..., Path]:
    return landing.put
