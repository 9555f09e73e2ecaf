"""Landing to lake, from outside: files put into a folder, what the lake and the books hold after it."""

from __future__ import annotations

import gzip
import json
import os
import re
import sys
import unicodedata
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest

from phqc_pipeline.catalogue.model import Field
from phqc_pipeline.extracts import Registry, lake_schema, read_csv, take_in
from phqc_pipeline.extracts import load as load_module
from phqc_pipeline.extracts.find import file_names, match_name, target_id
from phqc_pipeline.extracts.lake_file import LakeWriter
from phqc_pipeline.extracts.shapes import UnreadableError
from phqc_pipeline.home import Home

from .conftest import DAY, FORM, INSTITUTION, Landing, catalogue, csv_of, visits, write_registry

NAMES = file_names(catalogue())


@pytest.mark.parametrize(
    ("name", "form_id"),
    [
        ("visit.csv", "visit"),
        ("VISIT.CSV", "visit"),
        ("Visit.Csv.GZ", "visit"),
        ("visit_2024.xlsx", "visit"),
        ("visit 2024.xls", "visit"),
        ("visit.2024.parquet", "visit"),
        ("visit(2).csv", "visit"),
        ("visit（2）.csv", "visit"),
        ("visit[终稿].csv", "visit"),
        ("visit【终稿】.csv", "visit"),
        ("随访服务记录表.csv", "visit"),
        ("随访服务记录表_2024.xlsx", "visit"),
        ("随访表 (1).csv", "visit"),
        ("ｖｉｓｉｔ.csv", "visit"),
        ("visit_extra.csv", "visit_extra"),
        ("visit_extra_2.csv", "visit_extra"),
        ("visit_extras.csv", "visit"),
        ("r_archive.csv", "r_archive"),
        ("城乡居民健康档案管理_2023.xlsx", "r_archive"),
        ("visits.csv", ""),
        ("visit2024.csv", ""),
        ("随访服务记录表2024.csv", ""),
        ("my_visit.csv", ""),
        ("人员名单.csv", ""),
    ],
)
def test_which_form_a_name_means(name: str, form_id: str) -> None:
    assert target_id(match_name(name, NAMES)[0]) == form_id


@pytest.mark.parametrize(
    ("name", "group", "part"),
    [
        ("visit.csv", "visit.csv", -1),
        ("visit_1.csv", "visit.csv", 1),
        ("VISIT_01.CSV", "visit.csv", 1),
        ("visit(2).csv", "visit.csv", 2),
        ("visit (2).csv", "visit.csv", 2),
        ("visit（２）.csv", "visit.csv", 2),
        ("visit_999.csv", "visit.csv", 999),
        ("visit_2024.csv", "visit_2024.csv", -1),
        ("visit_2024_1.csv", "visit_2024.csv", 1),
        ("visit_2024_1.xlsx", "visit_2024.xlsx", 1),
        ("visit_extra_1.csv", "visit_extra.csv", 1),
        ("随访表_3.csv.gz", "随访表.csv.gz", 3),
    ],
)
def test_parts_of_a_delivery(name: str, group: str, part: int) -> None:
    assert match_name(name, NAMES)[2:] == (group, part)


def test_columns_of_the_lake(landing: Landing) -> None:
    header = (
        "记录ID",
        "健康档案编号",
        "性别",
        "高压",
        "随访日期",
        "收缩压（mmHg）甲",
        "责任医生/随访医生",
        "辅助检查",
        "自编列",
    )
    rows = (
        ("V1", "65430110110100001", "男", "120", "2024/5/1", "", "测试医生", " 心电图 ", "a"),
        ("V2", "-", "3", "一百", "不详", "甲", "", "", 'b"\\\t'),
    )
    landing.put(
        "visit.csv",
        csv_of(*(tuple(f'"{cell.replace(chr(34), chr(34) * 2)}"' for cell in row) for row in rows), header=header),
    )
    landing.take()
    lake = landing.rows()
    assert dict(lake.schema) == lake_schema(FORM)
    first, second = lake.to_dicts()
    assert (first["_row_number"], second["_row_number"]) == (2, 3)
    assert (first["_record_key"], first["_institution_code"], first["station_code"]) == ("V1", INSTITUTION, INSTITUTION)
    assert (first["sex_code"], first["sbp"], first["visit_date"], first["note"]) == (
        "1",
        120,
        date(2024, 5, 1),
        "心电图",
    )
    assert (first["note__raw"], first["sbp__raw"], first["_null_reason"]) == (" 心电图 ", None, None)
    assert (second["sex_code"], second["sex_code__raw"]) == (None, "3")
    assert (second["sbp"], second["sbp__raw"], second["archive_no"], second["archive_no__raw"]) == (
        None,
        "一百",
        None,
        None,
    )
    assert json.loads(second["_null_reason"]) == {"visit_date": "不详"}
    assert json.loads(first["_extra"]) == {"自编列": "a"}
    assert json.loads(second["_extra"]) == {"收缩压（mmHg）甲": "甲", "自编列": 'b"\\\t'}
    # a column the file does not have is there and empty; the institution's is the folder's
    assert (first["birth_date"], first["weight_kg__raw"], first["institution_code"]) == (None, None, INSTITUTION)
    row = landing.only_file()
    assert row["unknown_columns"] == ["收缩压（mmHg）甲", "自编列"]
    assert "institution_code" not in row["missing_columns"]  # type: ignore[operator]
    assert {"person_name", "created_at"} <= set(row["missing_columns"])  # type: ignore[call-overload]


def test_the_lake_is_read_by_other_engines(landing: Landing) -> None:
    landing.put("visit.csv", csv_of(("V1", "2024-05-01", "120"), header=("记录编号", "随访日期", "收缩压")))
    landing.take()
    (file,) = landing.in_force().files
    (row,) = duckdb.execute(
        "SELECT sbp, visit_date, symptom_codes, typeof(symptom_codes), typeof(created_at), typeof(_row_number) "
        "FROM read_parquet($1)",
        [str(file.path)],
    ).fetchall()
    assert row == (120.0, date(2024, 5, 1), None, "VARCHAR[]", "TIMESTAMP", "BIGINT")


def test_units_stars_and_spaces_in_headers(landing: Landing) -> None:
    header = ("* 记录 编号", "收缩压(mmHg)", "体重【KG】", "随访日期", "辅助检查", "体重(斤)")
    landing.put("visit.csv", csv_of(("V1", "120", "65", "2024-05-01", "x", "130"), header=header))
    landing.take()
    assert landing.rows().select("record_id", "sbp", "weight_kg", "note", "_extra").row(0) == (
        "V1",
        120,
        65,
        "x",
        '{"体重(斤)":"130"}',
    )


def test_rows_of_other_institutions_are_rejected(landing: Landing) -> None:
    codes = (INSTITUTION, "654301101001", "654301102", "", "654301", "－", "６５４３０１１０１")
    landing.put(
        "visit.csv",
        csv_of(
            *((f"V{place}", code, "a,b"[:1]) for place, code in enumerate(codes)),
            header=("记录编号", "机构编码", "姓名"),
        ),
    )
    landing.take()
    lake = landing.rows()
    assert lake["record_id"].to_list() == ["V0", "V1", "V3", "V5", "V6"]
    assert lake["station_code"].to_list() == [INSTITUTION, "654301101001", INSTITUTION, INSTITUTION, INSTITUTION]
    assert lake["institution_code"].to_list() == [INSTITUTION, "654301101001", None, None, INSTITUTION]
    assert [(row["row_number"], row["raw"]) for row in landing.rejected()] == [
        (4, "V2,654301102,a"),
        (6, "V4,654301,a"),
    ]
    assert landing.rejected()[0]["reason"] == "机构编码“654301102”不是 654301101 或其下级机构"
    row = landing.only_file()
    assert (row["rows_read"], row["rows_loaded"], row["rows_rejected"]) == (7, 5, 2)
    assert row["file_id"] == landing.rejected()[0]["file_id"]


def test_rows_are_judged_again_when_the_registry_changes(landing: Landing) -> None:
    """A village clinic that was missing from the registry is added: its rows come in without a new delivery."""
    landing.put("visit.csv", csv_of(("V1", INSTITUTION), ("V2", "654301101009"), header=("记录编号", "机构编码")))
    landing.take()
    assert landing.only_file()["rows_rejected"] == 1
    write_registry(
        landing.home,
        "institution_code,institution_name,level,parent_code,region_code\n"
        f"{INSTITUTION},甲,,,\n654301101009,乙,,{INSTITUTION},\n",
    )
    landing.take()
    assert (landing.only_file()["rows_rejected"], landing.rejected()) == (0, [])
    assert landing.rows().height == 2


def test_archive_numbers_are_completed(landing: Landing) -> None:
    write_registry(
        landing.home,
        "institution_code,institution_name,level,parent_code,region_code\n"
        f"{INSTITUTION},甲,,,{INSTITUTION}\n654301101001,乙,,{INSTITUTION},\nH7,丙,,{INSTITUTION},\n",
    )
    rows = (
        ("V1", "101-00001", ""),
        ("V2", "10100002", "654301101001"),
        ("V3", "1010003", ""),
        ("V4", "65430110110100004", ""),
        ("V5", "10100005", "H7"),
    )
    landing.put("visit.csv", csv_of(*rows, header=("记录编号", "健康档案编号", "机构编码")))
    landing.take()
    lake = landing.rows()
    assert lake["archive_no"].to_list() == [
        "65430110110100001",
        "65430110110100002",
        "1010003",
        "65430110110100004",
        "65430110110100005",
    ]
    assert lake["archive_no__raw"].to_list() == ["101-00001", "10100002", None, None, "10100005"]


@pytest.mark.parametrize("code", ["457254325654301101A001", "H0001", "457254325"])
def test_archive_numbers_stay_short_where_the_code_is_no_region(landing: Landing, code: str) -> None:
    write_registry(
        landing.home,
        f"institution_code,institution_name,level,parent_code,region_code\n{code},甲,乡镇,654301,654301101\n",
    )
    landing.put("visit.csv", csv_of(("V1", "101-00001"), header=("记录编号", "健康档案编号")), institution=code)
    landing.take()
    assert landing.rows()["archive_no"].to_list() == ["101-00001"]


def test_rows_without_a_record_number_are_known_by_their_content(landing: Landing) -> None:
    header = ("记录编号", "健康档案编号", "随访日期", "责任医生/随访医生", "收缩压", "症状", "录入时间")
    one = ("", "A1", "2024-05-01", "甲", "120", "1,2", "2024-05-01 08:00")
    same = (
        "-",
        "A1",
        "2024/5/1",
        "甲",
        "120.0",
        "无症状，头痛头晕",
        "2024-06-01 08:00",
    )  # same content, spelled otherwise
    other = ("", "A1", "2024-05-01", "甲", "121", "1", "2024-05-01 08:00")
    quote = lambda row: tuple(f'"{cell}"' for cell in row)  # noqa: E731
    landing.put("visit.csv", csv_of(quote(one), quote(same), quote(other), ("V9", *one[1:5], "1", ""), header=header))
    landing.take()
    keys = landing.rows()["_record_key"].to_list()
    assert keys[0] == keys[1] != keys[2]
    assert keys[3] == "V9"
    assert all(len(key) == 33 and key.startswith("#") for key in keys[:3])


def test_repeated_headers(landing: Landing) -> None:
    """Columns with one header count as one while they agree; where they differ nobody can say which holds."""
    header = ("记录编号", "收缩压", "高压", "收缩压")
    landing.put("visit.csv", csv_of(("V1", "120", "", "120"), ("V2", "", "130 ", ""), header=header))
    landing.take()
    assert landing.rows()["sbp"].to_list() == [120, 130]
    assert "重复的列按一列处理：收缩压（sbp）" in str(landing.only_file()["reason"])
    landing.put("visit.csv", csv_of(("V1", "120", "", ""), ("V2", "140", "130", ""), header=header), at=1)
    (record,) = landing.take().taken
    assert record.reason.startswith("第 3 行：第 2 列和第 3 列都是“收缩压”，内容却不同")
    # the former content of the same path is still good
    assert landing.rows()["sbp"].to_list() == [120, 130]


def test_conflict_is_told_with_its_row_in_the_file(landing: Landing, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read_csv, "BLOCK_BYTES", 64)
    monkeypatch.setattr(read_csv, "_HEAD_BYTES", 64)
    rows = [(f"V{number}", "120", "120") for number in range(200)]
    rows[150] = ("V150", "120", "121")
    landing.put("visit.csv", "标题\n" + csv_of(*rows, header=("记录编号", "收缩压", "高压")))
    (record,) = landing.take().taken
    assert record.reason.startswith("第 153 行：")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("visit.csv", b"", "文件是空的"),
        ("visit.csv", "姓名,收缩压\n甲,120\n".encode(), "缺少关键列：记录编号（record_id）"),
        ("visit.csv.gz", gzip.compress(b"record_id,sbp\n1,2\n" * 1000, mtime=0)[:-20], "gz 压缩文件不完整"),
        ("visit.txt", b"record_id,sbp\n", "扩展名不是"),
        ("visit.xlsx", b"record_id,sbp\n", "内容却是 文本"),
        ("visits.csv", b"record_id,sbp\n", "认不出是哪张表.*最接近的是“随访服务记录表”（visit）"),
        ("r_archive.csv", "机构编码,ehr_total\n654301101,1\n".encode(), "缺少关键列：年度（year）、期间（period）"),
        ("说明.docx", b"PK", "认不出是哪张表"),
    ],
)
def test_files_that_cannot_be_taken(landing: Landing, name: str, content: bytes, said: str) -> None:
    landing.put(name, content)
    landing.put("visit_extra.csv", csv_of(("V1", "2024-05-01", "1")))
    (bad,) = landing.take().quarantined
    assert re.search(said, bad.reason)
    assert (bad.rows_read, bad.loaded, len(bad.sha256)) == (0, False, 64)
    row = next(row for row in landing.files() if str(row["path"]).endswith(name))
    assert (row["status"], row["reason"]) == ("quarantined", bad.reason)
    # its neighbour is taken all the same
    assert [delivery.form_id for delivery in landing.books.in_force(DAY)] == ["visit_extra"]
    assert any(name in line and bad.reason in line for line in landing.lines)
    assert not list(landing.home.lake.glob("visit/**/*.parquet"))


def test_header_only(landing: Landing) -> None:
    """An institution without a single case of something delivers a header: a snapshot of no rows."""
    landing.put("visit.csv", csv_of())
    landing.take()
    assert landing.only_file()["status"] == "accepted"
    assert str(landing.only_file()["reason"]).startswith("只有表头，没有数据行")
    assert (landing.rows().height, dict(landing.rows().schema)) == (0, lake_schema(FORM))


def test_a_file_none_of_whose_rows_fits_is_quarantined(landing: Landing) -> None:
    """Put into the wrong institution's folder: it must not pass for a snapshot of no rows."""
    landing.put("visit.csv", csv_of(("V1", "654301102"), ("V2", "654301102"), header=("记录编号", "机构编码")))
    landing.take()
    row = landing.only_file()
    assert (row["status"], row["rows_read"], row["rows_loaded"], row["rows_rejected"]) == ("quarantined", 2, 0, 2)
    assert "2 行全部被拒收" in str(row["reason"])
    assert len(landing.rejected()) == 2
    assert landing.books.in_force(DAY) == []


def test_missing_columns_are_told(landing: Landing) -> None:
    landing.put("visit.csv", csv_of(("V1", "2024-05-01"), header=("记录编号", "随访日期")))
    landing.take()
    row = landing.only_file()
    assert "缺少列：健康档案编号（archive_no）、收缩压（sbp）" in str(row["reason"])
    assert landing.in_force().missing_columns >= {"archive_no", "sbp", "weight_kg"}
    assert row["status"] == "accepted"


@pytest.mark.parametrize(
    "name",
    [
        "visit_a b.csv",
        "visit_it's.csv",
        'visit_"quoted".csv',
        "visit_..%2F..%2Fetc.csv",
        "visit_;drop table x;--.csv",
        "visit_a\nb.csv",
        "visit_*?[x].csv",
        "visit_😀.csv",
        "visit_$HOME`ls`.csv",
        unicodedata.normalize("NFD", "visit_é.csv"),
    ],
)
def test_awkward_file_names(landing: Landing, name: str) -> None:
    landing.put(name, visits(2))
    landing.take()
    row = landing.only_file()
    assert (row["path"], row["status"]) == (f"landing/{INSTITUTION}/{DAY}/{name}", "accepted")
    assert landing.rows().height == 2
    assert landing.take().unchanged == 1
    assert all(line.isprintable() for line in landing.lines)


def test_file_name_in_gb18030(landing: Landing) -> None:
    """Unpacked on Linux from a zip made on Windows: the name is no UTF-8."""
    raw = os.fsencode(landing.folder()) + b"/" + "随访表_1.csv".encode("gb18030")
    with open(raw, "wb") as file:
        file.write(visits(1).encode())
    landing.take()
    assert landing.only_file()["path"] == f"landing/{INSTITUTION}/{DAY}/随访表_1.csv"
    assert landing.take().unchanged == 1


@pytest.mark.parametrize("institution", ["x..%2F", "it's", 'a"b', "a b", "a\nb", "中心卫生院"])
def test_awkward_institution_folders(landing: Landing, institution: str) -> None:
    landing.put("visit.csv", visits(2), institution=institution)
    landing.take()
    assert landing.in_force().institution_code == institution
    assert landing.rows()["_institution_code"].to_list() == [institution] * 2
    assert landing.home.lake in landing.in_force().files[0].path.resolve().parents


def test_what_is_no_delivery(landing: Landing) -> None:
    landing.put("visit.csv", visits(1))
    for name in ("~$visit.xlsx", ".visit.csv.swp", "Thumbs.db", "desktop.ini"):
        landing.put(name, b"x")
    landing.put("visit_2024.csv.part", b"x")
    landing.folder().joinpath("visit_folder.csv").mkdir()
    landing.home.landing.joinpath("stray.csv").write_text("x")
    landing.home.landing.joinpath(INSTITUTION, "2024-13-01").mkdir()
    landing.home.landing.joinpath(INSTITUTION, "2008-12-31").mkdir()
    intake = landing.take()
    assert landing.statuses() == {"visit.csv": "accepted", "visit_folder.csv": "quarantined"}
    assert [path.rsplit("/", 1)[-1] for path in intake.waiting] == ["visit_2024.csv.part"]
    assert sorted(problem.split("：")[0] for problem in intake.problems) == [
        f"landing/{INSTITUTION}/2008-12-31",
        f"landing/{INSTITUTION}/2024-13-01",
        "landing/stray.csv",
    ]


def test_later_folders_are_left_alone(landing: Landing) -> None:
    landing.put("visit.csv", visits(1), day=date(2025, 1, 1))
    assert landing.take(DAY).taken == []
    assert len(landing.take(date(2025, 1, 1)).taken) == 1


def test_links(landing: Landing, tmp_path: Path) -> None:
    """A link may not lead out of the institution's folder, to other people's files."""
    outside = tmp_path / "secret.csv"
    outside.write_text(visits(3))
    landing.folder().joinpath("visit_1.csv").symlink_to(outside)
    landing.folder().joinpath("visit_2.csv").symlink_to(tmp_path / "nowhere.csv")
    own = landing.put("real.csv", visits(1))
    landing.folder().joinpath("visit_extra.csv").symlink_to(own)
    landing.home.landing.joinpath(INSTITUTION, "2024-12-30").symlink_to(tmp_path)
    intake = landing.take()
    assert landing.statuses() == {
        "visit_1.csv": "quarantined",
        "visit_2.csv": "quarantined",
        "real.csv": "quarantined",
        "visit_extra.csv": "accepted",
    }
    reasons = {str(row["path"])[-11:]: str(row["reason"]) for row in landing.files()}
    assert "指向机构文件夹之外" in reasons["visit_1.csv"]
    assert any("2024-12-30" in problem and "链接" in problem for problem in intake.problems)
    assert landing.take().taken == []


def test_a_pipe_does_not_block(landing: Landing) -> None:
    os.mkfifo(landing.folder() / "visit.csv")
    landing.take()
    assert landing.only_file()["reason"] == "不是普通文件，未读取"


def test_a_file_that_is_still_written_is_taken_next_time(landing: Landing, monkeypatch: pytest.MonkeyPatch) -> None:
    path = landing.put("visit.csv", visits(5))
    opener = load_module._OPENERS[".csv"]

    def while_it_grows(where: Path, known: Any) -> Any:
        table = opener(where, known)
        with path.open("a") as file:
            file.write("V9,2024-05-01,120\r\n")
        return table

    monkeypatch.setitem(load_module._OPENERS, ".csv", while_it_grows)
    intake = landing.take()
    assert (intake.taken, intake.waiting) == ([], [f"landing/{INSTITUTION}/{DAY}/visit.csv"])
    assert landing.files() == []
    assert not list(landing.home.lake.glob("**/*.parquet"))
    monkeypatch.undo()
    landing.take()
    assert landing.only_file()["rows_loaded"] == 6


def test_half_an_upload_is_taken_when_it_is_whole(landing: Landing) -> None:
    """Quarantined as truncated at the first look; complete at the second."""
    whole = gzip.compress(visits(1000).encode())
    landing.put("visit.csv.gz", whole[:-100])
    landing.take()
    assert landing.only_file()["status"] == "quarantined"
    landing.put("visit.csv.gz", whole, at=1)
    landing.take()
    found = {row["rows_loaded"]: (row["status"], row["reason"]) for row in landing.files()}
    assert found[0] == ("superseded", "同名文件已换成新的内容")
    assert found[1000][0] == "accepted"


def test_unreadable_for_a_passing_reason_is_tried_again(landing: Landing, monkeypatch: pytest.MonkeyPatch) -> None:
    landing.put("visit.csv", visits(5))

    def refused(where: Path, known: Any) -> Any:
        raise UnreadableError("文件无法读取（Permission denied）；请检查权限和磁盘", passing=True)

    monkeypatch.setitem(load_module._OPENERS, ".csv", refused)
    landing.take()
    assert landing.only_file()["status"] == "quarantined"
    monkeypatch.undo()
    landing.take()
    assert landing.only_file()["status"] == "accepted"


def test_an_unforeseen_error_costs_its_file_and_tells_nothing_of_it(
    landing: Landing, monkeypatch: pytest.MonkeyPatch
) -> None:
    landing.put("visit.csv", visits(5))
    landing.put("visit_extra.csv", visits(5))

    def load(self: Any, batch: Any) -> Any:
        if self.form.form_id == "visit":
            raise ValueError("测试甲 654301195003041237")
        return original(self, batch)

    original = load_module.FormRows.load
    monkeypatch.setattr(load_module.FormRows, "load", load)
    intake = landing.take()
    (bad,) = intake.quarantined
    assert bad.reason.startswith("读取时出现意外错误（ValueError，")
    assert "测试甲" not in " ".join([bad.reason, *landing.lines])
    assert len(intake.taken) == 2


def test_a_full_disk_is_no_fault_of_the_file(landing: Landing, monkeypatch: pytest.MonkeyPatch) -> None:
    landing.put("visit.csv", visits(5))

    def write(self: Any, frame: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(LakeWriter, "write", write)
    with pytest.raises(OSError, match="No space left"):
        landing.take()
    assert landing.files() == []


def test_nothing_is_read_twice(landing: Landing, monkeypatch: pytest.MonkeyPatch) -> None:
    landing.put("visit.csv", visits(5))
    landing.put("visit_extra.csv", b"")
    landing.take()
    here = sys.modules["phqc_pipeline.extracts.take_in"]
    monkeypatch.setattr(here, "_sha256", lambda _: pytest.fail("read again"))
    intake = landing.take()
    assert (intake.unchanged, intake.taken) == (2, [])


def test_the_same_content_is_converted_once(landing: Landing, monkeypatch: pytest.MonkeyPatch) -> None:
    """A form that did not change, delivered again the next night: its rows are linked, its rejects carried over."""
    content = csv_of(("V1", INSTITUTION), ("V2", "999"), header=("记录编号", "机构编码"))
    landing.put("visit.csv", content, day=date(2024, 12, 30))
    landing.take()
    monkeypatch.setitem(load_module._OPENERS, ".csv", lambda *_: pytest.fail("converted again"))
    landing.put("随访表_2.csv", content)
    landing.take()
    first, second = landing.files()
    assert first["file_id"] != second["file_id"]
    assert first["sha256"] == second["sha256"]
    assert (second["rows_loaded"], second["rows_rejected"], second["status"]) == (1, 1, "accepted")
    assert [row["file_id"] for row in landing.rejected()] == [first["file_id"], second["file_id"]]
    (file,) = landing.in_force(DAY).files
    assert file.path.stat().st_nlink == 2
    assert landing.rows(DAY)["record_id"].to_list() == ["V1"]


def test_a_file_whose_time_alone_changed_is_not_converted_again(
    landing: Landing, monkeypatch: pytest.MonkeyPatch
) -> None:
    landing.put("visit.csv", visits(5))
    landing.take()
    before = landing.only_file()
    monkeypatch.setitem(load_module._OPENERS, ".csv", lambda *_: pytest.fail("converted again"))
    landing.put("visit.csv", visits(5), at=9)
    landing.take()
    after = landing.only_file()
    assert (after["file_id"], after["rows_loaded"]) == (before["file_id"], 5)
    assert after["mtime"] > before["mtime"]  # type: ignore[operator]


def test_a_changed_dictionary_converts_again(landing: Landing) -> None:
    landing.put("visit.csv", csv_of(("V1", "女性", "x"), header=("记录编号", "性别", "新列")))
    landing.take()
    assert landing.rows()["_extra"].to_list() == ['{"新列":"x"}']
    wider = replace(
        FORM,
        fields=(*FORM.fields, Field("novelty", "新列", "s(10)", "text")),
        extract_fingerprint="another",
    )
    landing.cat = catalogue(wider)
    landing.take()
    assert landing.rows().select("novelty", "_extra").row(0) == ("x", None)
    assert landing.take().taken == []


def test_a_column_new_in_the_dictionary_is_missing_in_what_can_no_longer_be_read(landing: Landing) -> None:
    """The landing file is gone, its rows stay in force; rules that read the new column must not take it for empty."""
    path = landing.put("visit.csv", visits(3))
    landing.take()
    path.unlink()
    landing.cat = catalogue(
        replace(FORM, fields=(*FORM.fields, Field("novelty", "新列", "s(10)", "text")), extract_fingerprint="another")
    )
    landing.take()
    assert landing.in_force().rows == 3
    assert "novelty" in landing.in_force().missing_columns


def test_a_file_that_makes_its_reader_stumble(landing: Landing, monkeypatch: pytest.MonkeyPatch) -> None:
    landing.put("visit.csv", visits(3))
    landing.put("visit_extra.csv", visits(3))

    def stumble(where: Path, known: Any) -> Any:
        if where.name == "visit.csv":
            raise IndexError("测试甲")
        return opener(where, known)

    opener = load_module._OPENERS[".csv"]
    monkeypatch.setitem(load_module._OPENERS, ".csv", stumble)
    landing.take()
    assert landing.statuses() == {"visit.csv": "quarantined", "visit_extra.csv": "accepted"}
    assert "测试甲" not in str(landing.files())


def test_a_lost_lake_file_is_made_again(landing: Landing) -> None:
    landing.put("visit.csv", visits(5))
    landing.take()
    (file,) = landing.in_force().files
    file.path.unlink()
    landing.take()
    assert landing.rows().height == 5


def test_leftovers_of_a_killed_run(landing: Landing) -> None:
    """A Parquet without a record, and files written aside, as kill -9 leaves them."""
    landing.put("visit.csv", visits(5))
    landing.take()
    (file,) = landing.in_force().files
    aside = landing.home.lake / "_aside" / "999999999-0"  # no process has this number
    aside.write_bytes(b"half")
    (record,) = landing.home.books.glob("files/*/*.json")
    record.unlink()
    file.path.write_bytes(b"PAR1 cut")
    landing.take()
    assert landing.rows().height == 5
    assert not aside.exists()


def test_every_row_is_accounted_for(landing: Landing) -> None:
    lines = [f"V{number},{INSTITUTION},1" for number in range(1000)]
    lines[10], lines[500], lines[700], lines[800] = "a,b", f'V500,{INSTITUTION},"x', "V700,999,1", ""
    landing.put("visit.csv", "\n".join(["记录编号,机构编码,收缩压", *lines, ""]))
    landing.take()
    row = landing.only_file()
    assert (row["rows_read"], row["rows_loaded"], row["rows_rejected"], row["rows_blank"]) == (999, 996, 3, 1)
    assert [found["row_number"] for found in landing.rejected()] == [12, 502, 702]
    numbers = landing.rows()["_row_number"].to_list()
    assert sorted([*numbers, 12, 502, 702, 802]) == list(range(2, 1002))


def test_report(landing: Landing) -> None:
    landing.put(
        "r_archive.csv",
        "城乡居民健康档案管理\n"
        "机构编码,机构名称,年度,期间,已建立电子健康档案人数,总份数,备注\n"
        '654301101,甲,2023,Y,"10,129",10200,x\n'
        "654301101001,乙,2023年,第1季度,-,不详,\n"
        "654301101001,乙,二三年,Q9,0,12.0,\n"
        "654301102,丙,2023,Y,1,1,\n"
        "654301101,甲,2023年度,全年,10130,10200,\n",
    )
    landing.take()
    rows = landing.rows().to_dicts()
    assert [
        (row["institution_code"], row["year"], row["period"], row["item"], row["value"], row["raw"]) for row in rows
    ] == [
        ("654301101", 2023, "Y", "ehr_electronic", 10129, "10,129"),
        ("654301101", 2023, "Y", "ehr_total", 10200, "10200"),
        ("654301101001", 2023, "Q1", "ehr_electronic", None, "-"),
        ("654301101001", 2023, "Q1", "ehr_total", None, "不详"),
        ("654301101", 2023, "Y", "ehr_electronic", 10130, "10130"),
        ("654301101", 2023, "Y", "ehr_total", 10200, "10200"),
    ]
    # the bill is traceable to its cell
    assert (rows[0]["row_number"], rows[0]["column_name"], rows[0]["column_number"]) == (3, "已建立电子健康档案人数", 5)
    undated, foreign = landing.rejected()
    assert (undated["row_number"], undated["raw"]) == (5, "654301101001,乙,二三年,Q9,0,12.0,")
    assert "“二三年”无法识别，请写四位年份" in undated["reason"]
    assert "“Q9”无法识别，请写 Y" in undated["reason"]
    assert (foreign["row_number"], foreign["raw"]) == (6, "654301102,丙,2023,Y,1,1,")
    row = landing.only_file()
    assert (row["form_id"], row["rows_read"], row["rows_loaded"], row["rows_rejected"]) == ("r_archive", 5, 3, 2)
    assert "以最后一行为准，另 1 行未采用" in str(row["reason"])
    assert landing.in_force().form_id == "r_archive"


def test_report_without_institution_column_is_the_folders(landing: Landing) -> None:
    landing.put("r_archive.csv", "year,period,ehr_total\n2023,Y,5\n")
    landing.take()
    assert landing.rows().select("institution_code", "item", "value").row(0) == (INSTITUTION, "ehr_total", 5)
    assert landing.in_force().missing_columns == {"ehr_electronic"}


def test_no_personal_data_in_logs_or_books(landing: Landing) -> None:
    """Good rows, rejected rows, broken rows, conflicting columns: neither log nor records quote them."""
    person = ("测试甲", "654301195003041237", "13999999999")
    landing.put(
        "visit.csv", csv_of(("V1", *person), ("V2", *person, "x"), header=("记录编号", "姓名", "身份证号", "电话"))
    )
    landing.put("visit_extra.csv", csv_of(("V1", *person[:2]), header=("记录编号", "姓名", "姓名")))
    landing.put("visit_extra_2.csv", "姓名\n" + ",".join(person))
    landing.take()
    said = " ".join(landing.lines) + "".join(path.read_text() for path in landing.home.books.glob("files/**/*.json"))
    assert len(landing.rejected()) == 1
    for text in person:
        assert text not in said


def test_no_landing_folder(tmp_path: Path) -> None:
    home = Home(tmp_path / "empty")
    registry = Registry(pl.DataFrame({"institution_code": ["1"], "parent_code": [None], "region_code": [None]}))
    assert take_in(home, catalogue(), registry, DAY).taken == []
