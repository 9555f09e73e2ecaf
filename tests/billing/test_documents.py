"""The contract's documents, opened and read back; the accountant's workbook; nine hundred institutions at once."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path

import openpyxl
import polars as pl
import pytest
from docx import Document

from phqc_pipeline.billing.accounts import county_totals, write_accounts
from phqc_pipeline.billing.bill import Bill, make_bill
from phqc_pipeline.billing.documents import DOCUMENTS, Written, lay_out_templates, write_documents
from phqc_pipeline.billing.evidence import ReportedCell
from phqc_pipeline.billing.frames import schema_of
from phqc_pipeline.billing.usage import Usage
from phqc_pipeline.billing.word_templates import TemplateFaultError
from phqc_pipeline.extracts import Registry
from phqc_pipeline.home import Home
from tests.billing.test_charges import CATALOGUE, CORRECTED, DAY, NO_USE, recomputed
from tests.billing.test_entitlement import CELL, FOUNDING, NO, PAID, TOWN, registry, reported

PARTIES = pl.DataFrame(
    [
        ("seller", None, "某某<软件>有限公司 & 分公司", "甲经理", "000-1", None, "某银行", "0001", "0002"),
        ("buyer", TOWN, "阿拉哈克镇中心卫生院", "乙主任", "000-2", None, None, None, None),
    ],
    schema=["role", "institution_code", "name", "contact", "phone", "address", "bank", "account", "tax_no"],
    orient="row",
)
USE = Usage(
    pl.DataFrame(),
    pl.DataFrame(
        [(TOWN, "2024-11", date(2024, 11, 1), date(2024, 11, 30), 30, 86000, 300, 1290000, 512)],
        schema=list(schema_of("usage")),
        orient="row",
    ),
)
SHEETS = pl.DataFrame(
    [(NO, TOWN, date(2025, 11, 3), "非常满意", "是", "很好")],
    schema=["order_no", "institution_code", "confirmed_on", "satisfaction", "fulfilled", "opinion"],
    orient="row",
)


def written(
    home: Home,
    *payments: tuple[date, str],
    cells: tuple[ReportedCell, ...] = (reported(10129),),
    day: date = DAY,
    annual: bool = False,
    counted: int = 10129,
    **changes: object,
) -> Written:
    known = replace(registry(pl.DataFrame([{**FOUNDING, **changes}]), *payments), parties=PARTIES, confirmations=SHEETS)
    bill = make_bill(known, CATALOGUE, {CELL: cells}, recomputed(counted), USE, day)
    found = pl.DataFrame(
        [(TOWN, "严重", "open", 7), (TOWN, "严重", "fixed", 20), (TOWN, "一般", "reopened", 2)],
        schema=["institution_code", "severity", "state", "findings"],
        orient="row",
    )
    return write_documents(home, CATALOGUE, known, bill, findings=found, annual=annual)


def text_of(path: Path) -> str:
    """Everything a reader sees, cell by cell."""
    document = Document(str(path))
    lines = [paragraph.text for paragraph in document.paragraphs]
    lines += ["｜".join(cell.text for cell in row.cells) for table in document.tables for row in table.rows]
    return "\n".join(lines)


def named(done: Written, name: str) -> Path:
    (path,) = [path for path in done.all if name in path.name]
    return path


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def test_the_statement_of_the_founding_contract(home: Home) -> None:
    path = named(written(home, PAID), "计费结算单")
    assert path == home.published / TOWN / "计费" / "PHQC-2024-001_计费结算单_第1版.docx"
    said = text_of(path)
    for line in (
        "合同编号｜PHQC-2024-001｜版次｜第 1 版",
        "用户单位｜阿拉哈克镇中心卫生院｜机构编码｜654301101000",
        "服务期｜2024 年 11 月 1 日至2025 年 11 月 1 日｜签订日期｜2024 年 10 月 25 日",
        "计费依据｜2023 年度《城乡居民健康档案管理》（全年）“已建立电子健康档案人数”",
        "数量｜10,129",
        "单价｜0.6 元",
        "应计金额｜6,077.40 元",
        "应付金额｜¥6,077.00（陆仟零柒拾柒元整）",
        "付款截止日｜2024 年 11 月 1 日",
        "未付金额｜0.00 元",
        "所在位置｜第 2 行，“已建立电子健康档案人数”列，原文“10129”",
        "差异｜一致",
        "1｜2024 年 10 月 20 日｜10,129｜6,077.00｜—",
        "2024 年 10 月 30 日｜6,077.00｜",
        "某某<软件>有限公司 & 分公司",
    ):
        assert line in said, line


def test_a_correction_is_a_new_statement_beside_the_old(home: Home) -> None:
    written(home, PAID)
    done = written(home, PAID, cells=CORRECTED, counted=10130)
    folder = home.published / TOWN / "计费"
    assert {path.name for path in folder.glob("*计费结算单*")} == {
        "PHQC-2024-001_计费结算单_第1版.docx",
        "PHQC-2024-001_计费结算单_第3版.docx",
    }
    said = text_of(named(done, "计费结算单"))
    assert "2｜2024 年 12 月 1 日｜10,200｜6,120.00｜+43.00" in said
    assert "3｜2024 年 12 月 20 日｜10,000｜6,000.00｜-120.00" in said
    assert "差异｜上报比重算少 130" in said


def test_a_payment_notice_until_it_is_paid(home: Home) -> None:
    part = (date(2024, 10, 30), "77")
    notice = named(written(home, part), "付款通知")
    said = text_of(notice)
    assert "¥6,000.00（陆仟元整）" in said
    assert "请于 2024 年 11 月 1 日 前付清" in said
    assert "违约金 303.85 元" in said
    assert "账号｜0001" in said
    done = written(home, part, (date(2024, 12, 1), "6000"))
    assert done.removed == (notice,)
    assert not notice.exists()


def test_the_confirmation_sheet(home: Home) -> None:
    said = text_of(named(written(home, PAID), "客户服务确认单"))
    assert "项目名称｜公共卫生信息质控管理系统｜合同编号｜PHQC-2024-001" in said
    assert "客户负责人｜乙主任｜联系电话｜000-2" in said
    assert "满意度｜□ 非常满意　　□ 满意　　□ 一般　　□ 不满意　　□ 非常不满意" in said
    assert "履约完成｜□ 是　　□ 否" in said
    assert "7｜数据质控｜30 夜，86,000 条次" in said
    assert "签章｜" in said


@pytest.mark.parametrize(("day", "there"), [(date(2025, 9, 30), False), (date(2025, 10, 1), True)])
def test_the_renewal_notice_a_month_before(home: Home, day: date, there: bool) -> None:
    done = written(home, PAID, day=day)
    assert any("续约通知" in path.name for path in done.all) is there
    if there:
        assert "到期前一个月（2025 年 10 月 1 日）通知双方" in text_of(named(done, "续约通知"))


def test_the_annual_report(home: Home) -> None:
    assert not [path for path in written(home, PAID).all if "年度服务报告" in path.name]
    assert named(written(home, PAID, annual=True), "年度服务报告")
    said = text_of(named(written(home, PAID, day=date(2025, 11, 5)), "年度服务报告"))
    assert "2024-11｜30｜86,000｜300｜1,290,000｜512" in said
    assert "严重｜7｜0｜20｜0｜0" in said
    assert "2025 年 11 月 3 日｜非常满意｜是" in said


def test_what_has_not_changed_is_not_written_again(home: Home) -> None:
    assert written(home, PAID).fresh
    assert written(home, PAID, day=date(2025, 1, 1)).fresh == ()


def test_a_clerks_template_wins_and_its_faults_are_named(home: Home) -> None:
    assert len(lay_out_templates(home)) == len(DOCUMENTS)
    assert lay_out_templates(home) == []
    path = home.templates / "客户服务确认单.docx"
    document = Document(str(path))
    document.add_paragraph("本单一式两份。合同 {{ 合同编号 }}")
    document.save(str(path))
    assert "本单一式两份。合同 PHQC-2024-001" in text_of(named(written(home, PAID), "客户服务确认单"))
    added = document.add_paragraph("{{ 合同编")
    added.add_run("号 }}（存").bold = True  # Word splits what it has in two pieces
    added.add_run("档）")
    document.save(str(path))
    assert "PHQC-2024-001（存档）" in text_of(named(written(home, PAID), "客户服务确认单"))
    for wrong, said in {
        "{{ 合同号 }}": "没有“合同号”这个占位，相近的有 合同编号",
        "{{ 合同 编号 }}": "占位“{{ 合同 编号 }}”写得不对",
        "{{ 合同编号 ": "没有成对",
        "｛｛ 合同编号 ｝｝": "“｛｛ 合同编号 ｝｝.*全角的花括号",
        "{{ 合同编号 / 2 }}": "有一处占位算不出来",
    }.items():
        for run in added.runs[1:]:
            run.text = ""
        added.runs[0].text = wrong
        document.save(str(path))
        with pytest.raises(TemplateFaultError, match=rf"客户服务确认单\.docx：.*{said}"):
            written(home, PAID)
    path.write_bytes(b"no document")
    with pytest.raises(TemplateFaultError, match="打不开"):
        written(home, PAID)


def county(institutions: int) -> tuple[Registry, Bill]:
    """So many institutions of three counties, one order each but for one order of ten; every seventh has not paid."""
    codes = [f"6543{1 + index % 3:02d}{index:06d}" for index in range(institutions)]
    orders = [
        {**FOUNDING, "order_no": f"N-{max(index, 9):04d}", "institution_code": code} for index, code in enumerate(codes)
    ]
    history = {(code, *CELL[1:]): (reported(5000 + 37 * index),) for index, code in enumerate(codes)}
    paid = [
        (f"N-{index:04d}", date(2024, 10, 30), Decimal((5000 + 37 * index) * 6 // 10), None)
        for index in range(9, institutions)
        if index % 7
    ]
    regions = [f"{code[:6]}000" for code in codes]
    places = pl.DataFrame({"institution_code": codes, "institution_name": codes, "region_code": regions})
    known = Registry(
        places.with_columns(parent_code=pl.lit(None, pl.String)),
        orders=pl.DataFrame(orders),
        payments=pl.DataFrame(paid, schema=["order_no", "paid_on", "amount", "invoice_no"], orient="row"),
    )  # fmt: skip
    return known, make_bill(known, CATALOGUE, history, recomputed(1), NO_USE, DAY)


def test_before_signing_the_statement_says_how_long_there_is_to_pay(home: Home) -> None:
    known = registry(pl.DataFrame([{**FOUNDING, "signed_on": None, "payment_working_days": 10}]))
    bill = make_bill(known, CATALOGUE, {CELL: (reported(10129),)}, recomputed(10129), NO_USE, DAY)
    (statement,) = write_documents(home, CATALOGUE, known, bill).fresh
    told = text_of(statement)
    assert "签订之日起 10 个工作日内" in told
    assert "节假日" not in told


def test_nine_hundred_institutions_in_one_run(home: Home) -> None:
    known, bill = county(900)
    charges, orders = bill.tables["charge"], bill.tables["order"]
    assert charges.height == 900
    expected = sum((Decimal("0.6") * (5000 + 37 * index)).to_integral_value("ROUND_FLOOR") for index in range(900))
    assert charges["amount"].sum() == expected
    assert orders["paid_share"].sum() == bill.tables["payment"]["amount"].sum()
    totals = county_totals(bill, known.institutions.with_columns(county_code=pl.col("region_code").str.slice(0, 6)))
    assert totals["county_code"].to_list() == ["654301", "654302", "654303"]
    assert totals["amount"].sum() == expected
    assert totals["balance"].sum() == expected - orders["paid_share"].sum()

    path = write_accounts(home.published / "计费" / "计费对账.xlsx", bill, known)
    book = openpyxl.load_workbook(path, data_only=True)
    assert book.sheetnames == ["汇总", "订单", "服务费", "更正", "付款", "日历", "用量", "确认单", "服务请求"]
    summary = [[cell.value for cell in row] for row in book["汇总"].iter_rows(min_row=4, max_row=7)]
    assert [row[1] for row in summary] == [300, 300, 300, 900]
    assert Decimal(str(summary[-1][2])) == expected
    assert book["订单"].max_row == 902

    done = write_documents(home, CATALOGUE, known, bill, only=frozenset(orders["institution_code"].head(30)))
    assert len({path.parent.parent.name for path in done.fresh}) == 30


def test_what_is_not_signed_is_owed_by_nobody(home: Home) -> None:
    """Two orders of three are drafts, one of them corrected since: totals name the signed one alone, the rest apart."""
    codes = ["654301100000", "654301100001", "654301100002"]
    signed = (date(2024, 10, 25), None, date(2025, 3, 1))
    orders = [
        {**FOUNDING, "order_no": f"D-{index}", "institution_code": code, "signed_on": on}
        for index, (code, on) in enumerate(zip(codes, signed, strict=True))
    ]
    history = {(code, *CELL[1:]): (reported(1000), reported(1100, date(2024, 11, 20))) for code in codes}
    places = pl.DataFrame({"institution_code": codes, "institution_name": codes, "region_code": codes})
    known = Registry(places.with_columns(parent_code=pl.lit(None, pl.String)), orders=pl.DataFrame(orders))
    bill = make_bill(known, CATALOGUE, history, recomputed(1), NO_USE, DAY)
    told = bill.tables["order"].select("state", "amount", "draft_amount", "balance", "penalty_due")
    owed, nothing, offer = Decimal("660"), Decimal("0"), Decimal("660")
    assert told.rows() == [
        ("defaulted", owed, None, owed, Decimal("33")),
        ("draft", nothing, offer, nothing, nothing),
        ("draft", nothing, offer, nothing, nothing),
    ]
    assert bill.tables["charge"]["owed"].to_list() == [owed, nothing, nothing]
    assert bill.tables["adjustment"]["order_no"].to_list() == ["D-0"]  # what is not signed is not corrected
    (county,) = county_totals(bill, places.with_columns(county_code=pl.lit("654301"))).to_dicts()
    assert (county["amount"], county["balance"], county["draft_amount"]) == (owed, owed, offer * 2)
    path = write_accounts(home.published / "计费" / "计费对账.xlsx", bill, known)
    (summary,) = openpyxl.load_workbook(path, data_only=True)["汇总"].iter_rows(min_row=4, max_row=4, values_only=True)
    assert summary[2:7] == (660, 0, 660, 33, 1320)


def test_one_order_of_many_institutions_is_paid_as_a_whole() -> None:
    _, bill = county(10)
    orders = bill.tables["order"]
    assert orders["order_no"].unique().to_list() == ["N-0009"]
    assert set(orders["state"]) == {"defaulted"}  # what one line comes to was paid, not what all ten do
    assert orders["paid_share"].sum() == orders["order_paid"][0]
    assert set(orders["order_amount"]) == {bill.tables["charge"]["amount"].sum()}
