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
    assert said[0].startswith("institution.csv：缺少列 level、parent_code、region_code；")
    assert said[1].startswith("order.csv：缺少列 institution_code、basis_report、")
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
        ("r_archive", "r_x", "第 2 行 basis_report：“r_x”目录里没有这张报表"),
        ("ehr_total", "ehr_x", "第 2 行 basis_item：“ehr_x”不是报表 r_archive 的报表项"),
    ],
)
def test_faulty_orders(tmp_path: Path, before: str, after: str, said: str) -> None:
    found = registry_of(tmp_path, order=ORDERS + GOOD.replace(before, after, 1) + GOOD.replace("O1", "O2"))
    assert [problem for problem in found.problems if said in problem] == found.problems
    assert len(found.problems) == 1
    assert found.orders is not None
    assert found.orders["order_no"].to_list() == ["O2"]


def test_rows_that_cannot_be_split(tmp_path: Path) -> None:
    found = registry_of(tmp_path, institution=INSTITUTIONS + "1,2\n" + '7,"甲,,,\n8,乙,,,\n')
    assert [problem.split("：")[0] for problem in found.problems] == [
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
    assert [problem.split("：")[0] for problem in found.problems] == [
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
    assert [problem.split("：")[0] for problem in found.problems] == [
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
