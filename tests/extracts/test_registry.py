"""The registry: good files in any shape of CSV, faulty rows left out and told, missing columns fatal."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from phqc_pipeline.extracts import Registry, RegistryError, read_registry
from phqc_pipeline.home import Home

from .conftest import catalogue

INSTITUTIONS = (
    "institution_code,institution_name,level,parent_code,region_code\n"
    "65,县,县,,\n6501,乡,乡镇,65,\n650101,村,村,6501,\n"
)
ORDERS = (
    "order_no,institution_code,basis_report,basis_year,basis_period,basis_item,unit_price,currency,rounding,"
    "signed_on,service_from,service_to,penalty_rate\n"
)
GOOD = "O1,6501,r_archive,2023,Y,ehr_total,0.6,CNY,yuan_down,2024-01-05,2024-01-01,2024-12-31,0.0005\n"


#: Of every file: header, a row nothing is wrong with.
ROWS = {
    "doctor": ("institution_code,doctor_id,doctor_name,from_date,to_date", "6501,D1,甲,2020/1/1,"),
    "payment": ("order_no,paid_on,amount,invoice_no", "O1,2024年1月10日,６０７７.00,F1"),
    "refund": ("order_no,refunded_on,amount,voucher_no,reason", 'O1,20240110,77,,"更正,退抵"'),
    "waiver": (
        "rule_id,institution_code,subject_id,field,reason,approved_by,from_date,until_date",
        "X-1,6501,,,已核实,乙,2024-01-01,2024-12-31",
    ),
    "party": ("role,institution_code,name,contact,phone,address,bank,account,tax_no", "buyer,6501,乡,,,,,,"),
    "confirmation": (
        "order_no,institution_code,confirmed_on,satisfaction,fulfilled,opinion",
        "O1,6501,2024-12-31,满意,是,",
    ),
    "service_request": (
        "请求编号,机构编码,类别,报告时间,现象,响应时间,解决时间,处理措施,处理人",
        "R1,6501,故障,2024-01-05 14:30,打不开,2024/1/5 15:00,,,",
    ),
    "verification": (
        "机构编码,表单编号,记录编号,健康档案编号,责任医生,核查方式,核查日期,核查结果,复测收缩压,复测舒张压,结论,核查人,备注",
        "6501,,,A1,,电话,2024-06-01,相符,,,属实,,",
    ),
}  # fmt: skip


def registry_of(tmp_path: Path, **files: str | bytes) -> Registry:
    home = Home(tmp_path)
    home.registry.mkdir(parents=True, exist_ok=True)
    for stem, content in {"institution": INSTITUTIONS, **files}.items():
        data = content if isinstance(content, bytes) else content.encode()
        (home.registry / f"{stem}.csv").write_bytes(data)
    return read_registry(home, catalogue())


def test_good_files(tmp_path: Path) -> None:
    found = registry_of(
        tmp_path,
        order=ORDERS + GOOD,
        doctor="institution_code,doctor_id,doctor_name,from_date,to_date,职称\n6501,D1,甲,2020/1/1,,主治\n",
        payment="order_no,paid_on,amount,invoice_no\nO1,2024年1月10日,6077,F1\n",
        waiver=(
            "rule_id,institution_code,subject_id,field,reason,approved_by,from_date,until_date\n"
            "X-1,6501,,,已核实,乙,2024-01-01,2024-12-31\n"
        ),
    )
    assert found.problems == []
    assert found.institutions["institution_code"].to_list() == ["65", "6501", "650101"]
    assert found.orders is not None
    order = found.orders.row(0, named=True)
    assert order["unit_price"] == Decimal("0.6")
    assert (order["basis_year"], order["signed_on"], order["penalty_rate"]) == (
        2023,
        date(2024, 1, 5),
        Decimal("0.0005"),
    )
    assert found.payments is not None
    assert found.payments.row(0) == ("O1", date(2024, 1, 10), Decimal(6077), "F1")
    assert found.doctors is not None
    assert found.doctors.row(0, named=True)["职称"] == "主治"
    assert found.waivers is not None
    assert found.waivers.height == 1


def test_only_institutions_are_required(tmp_path: Path) -> None:
    found = registry_of(tmp_path)
    assert (found.doctors, found.orders, found.payments, found.waivers) == (None, None, None, None)


@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_any_csv(tmp_path: Path, ends: str, encoding: str) -> None:
    text = "机构登记表\n" + INSTITUTIONS.replace("parent_code,region_code", "备注,parent_code,region_code").replace(
        ",65,", ',"甲,乙",65,'
    ).replace(",县,,", ",县,,,").replace(",6501,", ",,6501,")
    found = registry_of(tmp_path, institution=text.replace("\n", ends).encode(encoding))
    assert found.problems == []
    assert found.is_within("650101", "65")


def test_columns_in_any_order_and_case(tmp_path: Path) -> None:
    found = registry_of(
        tmp_path, institution="REGION_CODE, Parent_Code ,level,institution_name,Institution_Code\n,,,甲,1\n"
    )
    assert found.institutions.row(0, named=True)["institution_name"] == "甲"


def test_missing_columns_are_told_all_at_once(tmp_path: Path) -> None:
    with pytest.raises(RegistryError) as failed:
        registry_of(
            tmp_path,
            institution="institution_code,institution_name\n1,甲\n",
            order="order_no,unit_price\n",
            payment="",
        )
    said = failed.value.faults
    assert said[0].startswith("institution.csv 第 1 行：缺少列 level、parent_code、region_code；")
    assert said[1].startswith("order.csv 第 1 行：缺少列 institution_code、basis_report、")
    assert said[2] == "payment.csv：文件是空的，没有任何内容"
    assert len(said) == 3


def test_no_institutions(tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match=r"institution\.csv：没有这个文件"):
        read_registry(Home(tmp_path))


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("O1,", ",", "order.csv 第 2 行 order_no：为空；该行未采用，请填写"),
        ("2023", "23", "第 2 行 basis_year：“23”不是年份"),
        (",Y,", ",半年,", "第 2 行 basis_period：“半年”不是报告期"),
        (",0.6,", ",六角,", "第 2 行 unit_price：“六角”不是金额或比率"),
        (",0.6,", ",-1,", "第 2 行 unit_price：“-1”不是金额或比率"),
        (",0.6,", ",0.1234567,", "unit_price：“0.1234567”不是金额或比率"),
        ("yuan_down", "down", "第 2 行 rounding：“down”不在允许的写法里；该行未采用，请写 yuan_down"),
        ("2024-01-05", "昨天", "第 2 行 signed_on：“昨天”不是日期"),
        ("2024-12-31", "2023-12-31", "第 2 行 service_to：“2023-12-31”早于 service_from"),
        (",6501,", ",9999,", "第 2 行 institution_code：“9999”institution.csv 里没有这家机构"),
        (",CNY,", ",USD,", "第 2 行 currency：“USD”不在允许的写法里；该行未采用，请写 CNY"),
        ("0.0005", "5%", "第 2 行 penalty_rate：“5%”不是 0 到 1 之间的比率；该行未采用，请写小数，如百分之五写 0.05"),
        ("0.0005", "5", "第 2 行 penalty_rate：“5”不是 0 到 1 之间的比率"),
    ],
)
def test_faulty_orders(tmp_path: Path, before: str, after: str, said: str) -> None:
    found = registry_of(tmp_path, order=ORDERS + GOOD.replace(before, after, 1) + GOOD.replace("O1", "O2"))
    assert [str(one) for one in found.problems if said not in str(one)] == []
    assert len(found.problems) == 1
    assert found.orders is not None
    assert found.orders["order_no"].to_list() == ["O2"]


def test_every_faulty_cell_of_a_row_is_told_at_once(tmp_path: Path) -> None:
    faulty = GOOD.replace("2023,Y", "甲,Y").replace("0.6", "-1").replace("yuan_down,2024-01-05", "down,某日")
    found = registry_of(tmp_path, order=ORDERS + faulty)
    assert [one.column for one in found.problems] == ["basis_year", "unit_price", "rounding", "signed_on"]


@pytest.mark.parametrize(
    ("stem", "before", "after", "said"),
    [
        ("doctor", "甲", "", "doctor.csv 第 4 行 doctor_name：为空；该行未采用，请填写"),
        ("doctor", "2020/1/1", "二〇二〇年", "doctor.csv 第 4 行 from_date：“二〇二〇年”不是日期"),
        ("doctor", "6501", "9", "doctor.csv 第 4 行 institution_code：“9”institution.csv 里没有这家机构；该行照用"),
        ("payment", "６０７７.00", "1e9", "payment.csv 第 4 行 amount：“1e9”不是金额；该行未采用，请写"),
        ("payment", "６０７７.00", "-6077", "“-6077”不是金额；该行未采用，请写不超过 2 位小数的非负数，不加逗号和单位"),
        ("payment", "６０７７.00", '"6,077.00"', "“6,077.00”不是金额"),
        ("payment", "６０７７.00", "6077元", "“6077元”不是金额"),
        ("payment", "６０７７.00", "6077.005", "“6077.005”不是金额"),
        ("payment", "O1", "O9", "payment.csv 第 4 行 order_no：“O9”order.csv 里没有这份订单"),
        ("refund", "77", "-77", "refund.csv 第 4 行 amount：“-77”不是金额"),
        ("refund", "O1", "O9", "refund.csv 第 4 行 order_no：“O9”order.csv 里没有这份订单"),
        ("waiver", "6501", "9", "waiver.csv 第 4 行 institution_code：“9”institution.csv 里没有这家机构；该行照用"),
        ("waiver", "2024-12-31", "2023-12-31", "waiver.csv 第 4 行 until_date：“2023-12-31”早于 from_date"),
        ("party", "buyer", "买方", "party.csv 第 4 行 role：“买方”不在允许的写法里"),
        ("party", "buyer,6501", "buyer,", "party.csv 第 4 行 institution_code：用户单位没有写机构编码；该行未采用"),
        ("party", "buyer", "13812345678", "party.csv 第 4 行 role：“138******78”不在允许的写法里"),
        ("confirmation", "满意", "很好", "confirmation.csv 第 4 行 satisfaction：“很好”不在允许的写法里"),
        ("confirmation", "6501", "65", "confirmation.csv 第 4 行 order_no：“O1 65”order.csv 里没有这家机构的这份订单"),
        ("service_request", "14:30", "25:30", "service_request.csv 第 4 行 reported_at：“2024-01-05 25:30”不是时间"),
        ("service_request", "2024/1/5 15:00", "2024/1/5 14:00", "responded_at：“2024/1/5 14:00”早于 reported_at"),
        ("service_request", "故障", "坏了", "service_request.csv 第 4 行 kind：“坏了”不在允许的写法里"),
        ("verification", "相符", "符合", "verification.csv 第 4 行 outcome：“符合”不在允许的写法里"),
    ],
)  # fmt: skip
def test_a_faulty_row_of_any_file(tmp_path: Path, stem: str, before: str, after: str, said: str) -> None:
    """One row is told with file, row, value and remedy, the good one stays; a blank line and a BOM are no fault."""
    header, good = ROWS[stem]
    bad = good.replace(before, after, 1)
    files = {stem: f"\ufeff{header}\r\n{good}\r\n\r\n{bad}\r\n"}
    paid = "order_no,paid_on,amount,invoice_no\nO1,2024-01-08,6077,F0\n"
    found = registry_of(tmp_path, **{"order": ORDERS + GOOD, "payment": paid, **files})
    assert [str(one) for one in found.problems if said not in str(one)] == []
    assert len(found.problems) == 1


def test_what_cannot_be_priced_still_opens_quality_control(tmp_path: Path) -> None:
    lines = [GOOD.replace("r_archive", "r_x"), GOOD.replace("ehr_total", "ehr_x").replace("O1", "O2")]
    found = registry_of(tmp_path, order=ORDERS + "".join(lines), orders="x")
    assert [str(one) for one in found.problems] == [
        "orders.csv：不是登记文件的名称；未采用，登记文件只认 confirmation.csv、doctor.csv、institution.csv、"
        "order.csv、party.csv、payment.csv、refund.csv、service_request.csv、verification.csv、"
        "waiver.csv，请改名或另存为 CSV",
        "order.csv 第 2 行 basis_report：“r_x”目录里没有这张报表，不能计费；该行照用，请核对",
        "order.csv 第 3 行 basis_item：“ehr_x”不是报表 r_archive 的报表项，不能计费；该行照用，请核对",
    ]
    assert found.orders is not None
    assert found.orders["order_no"].to_list() == ["O1", "O2"]


def test_rows_that_cannot_be_split(tmp_path: Path) -> None:
    found = registry_of(tmp_path, institution=INSTITUTIONS + "1,2\n" + '7,"甲,,,\n8,乙,,,\n')
    assert [str(problem).split("：")[0] for problem in found.problems] == [
        "institution.csv 第 5 行",
        "institution.csv 第 6 行",
    ]
    assert found.institutions["institution_code"].to_list() == ["65", "6501", "650101", "8"]


def test_repeated_rows(tmp_path: Path) -> None:
    found = registry_of(
        tmp_path,
        institution=INSTITUTIONS + "6501,乡改名,,,\n",
        order=ORDERS + GOOD + GOOD.replace("0.6", "0.7") + GOOD.replace("6501", "65"),
        payment="order_no,paid_on,amount,invoice_no\nO1,2024-01-10,1,F1\nO1,2024-01-10,1,F1\nO1,2024-01-10,1,F2\nO9,2024-01-10,1,F1\n",
    )
    assert [str(problem).split("：")[0] for problem in found.problems] == [
        "institution.csv 第 5 行 institution_code",
        "order.csv 第 3 行 order_no",
        "payment.csv 第 3 行 order_no",
        "payment.csv 第 5 行 order_no",
    ]
    assert found.orders is not None
    assert found.orders["unit_price"].to_list() == [Decimal("0.6")] * 2
    assert found.payments is not None
    assert found.payments["invoice_no"].to_list() == ["F1", "F2"]


def test_who_is_below_whom(tmp_path: Path) -> None:
    found = registry_of(tmp_path, institution=INSTITUTIONS + "7,外,,99,\n")
    assert found.is_within("650101", "65")
    assert found.is_within("65", "65")
    assert found.is_within("7", "99")  # a parent outside the file
    assert not found.is_within("65", "6501")
    assert not found.is_within("6501", "650101")
    assert not found.is_within("12", "65")
    assert found.within("65") == {"65", "6501", "650101"}
    assert found.within("99") == {"99", "7"}
    assert found.owner("6501").codes == {"6501", "650101"}


def test_circular_parents_are_left_out(tmp_path: Path) -> None:
    found = registry_of(tmp_path, institution=INSTITUTIONS + "1,甲,,2,\n2,乙,,3,\n3,丙,,1,\n4,丁,,4,\n5,戊,,1,\n")
    assert found.institutions["institution_code"].to_list() == ["65", "6501", "650101", "5"]
    assert [str(problem).split("：")[0] for problem in found.problems] == [
        f"institution.csv 第 {row} 行 parent_code" for row in (5, 6, 7, 8)
    ]
    assert not found.is_within("5", "65")


def test_fingerprint_follows_the_content(tmp_path: Path) -> None:
    one = registry_of(tmp_path).fingerprint
    assert registry_of(tmp_path).fingerprint == one
    assert registry_of(tmp_path, doctor="institution_code,doctor_id,doctor_name,from_date,to_date\n").fingerprint != one


def test_region_codes_lead_archive_numbers(tmp_path: Path) -> None:
    found = registry_of(
        tmp_path,
        institution=(
            "institution_code,institution_name,level,parent_code,region_code\n"
            "654301101,甲,,,\n654301101001,乙,,654301101,654301101\n457254325654301,丙,,654301101,654301101\nH1,丁,,654301101,\n"
        ),
    )
    assert found.owner("654301101").regions == {"654301101": "654301101", "654301101001": "654301101"}
