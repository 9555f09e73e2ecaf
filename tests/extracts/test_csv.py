"""CSV in every encoding, line end and state of damage: read is what was written, and every row is accounted for."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from phqc_pipeline.extracts import read_csv, records
from phqc_pipeline.extracts.header import known_headers
from phqc_pipeline.extracts.read_csv import open_csv
from phqc_pipeline.extracts.shapes import Rejected, UnreadableError

ENCODINGS = ("utf-8", "utf-8-sig", "gb18030", "utf-16")
LINE_ENDS = ("\n", "\r\n", "\r")
NAMES = ("alpha", "beta", "gamma")
CHINESE = ("alpha", "beta", "住址")
KNOWN = known_headers((name, (name,), "") for name in (*NAMES, "住址", *(f"c{place}" for place in range(20))))

# Any text a cell may hold but the characters that stand for damage: NUL (garbled), U+FFFD, 0x1A (end of file in DOS).
CELLS = st.text(
    st.characters(exclude_categories=("Cs",), exclude_characters="\x00\x1a\ufffd\ufeff"), max_size=12
) | st.sampled_from(['"', '""', ",", "\n", "\r\n", 'a"b', "张三，李四", "一\n二", " x ", "€", "𠀀"])


def read(path: Path, *, zipped: bool = False) -> tuple[dict[int, tuple[str, ...]], list[Rejected], int, str]:
    """Rows by number, rejected rows, blank rows, encoding."""
    table = open_csv(path, KNOWN, zipped=zipped)
    rows: dict[int, tuple[str, ...]] = {}
    rejected: list[Rejected] = []
    blank = 0
    offset = table.first_row
    for piece in table.pieces:
        batch = piece()
        for number, *cells in batch.cells.iter_rows():
            rows[offset + number] = tuple(cell or "" for cell in cells)
        rejected += [Rejected(offset + row.row_number, row.reason, row.raw) for row in batch.rejected]
        blank += batch.blank
        assert batch.span == batch.cells.height + len(batch.rejected) + batch.blank
        offset += batch.span
    return rows, rejected, blank, table.encoding


def write(path: Path, rows: Sequence[Sequence[str]], encoding: str = "utf-8", ends: Sequence[str] = ("\r\n",)) -> None:
    lines = [",".join(map(quoted, row)) + ends[place % len(ends)] for place, row in enumerate(rows)]
    path.write_bytes("".join(lines).encode(encoding))


def quoted(cell: str) -> str:
    """A cell as RFC 4180 writes it, in quotes when it must be and now and then when it need not."""
    if any(mark in cell for mark in ',"\r\n') or len(cell) % 3 == 2:
        return '"' + cell.replace('"', '""') + '"'
    return cell


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    table=st.lists(st.tuples(CELLS, CELLS, CELLS), max_size=30),
    encoding=st.sampled_from(ENCODINGS),
    ends=st.lists(st.sampled_from(LINE_ENDS), min_size=1, max_size=4),
    block=st.sampled_from((16, 64, 1 << 20)),
)
@example(table=[("", "", ""), ("1", '"', "\r")], encoding="gb18030", ends=["\r", "\n"], block=16)
def test_what_was_written_is_read(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    table: list[tuple[str, str, str]],
    encoding: str,
    ends: list[str],
    block: int,
) -> None:
    """Any table in any encoding with any mixture of line ends, cut into blocks anywhere, comes back cell by cell."""
    with monkeypatch.context() as patched:
        patched.setattr(read_csv, "BLOCK_BYTES", block)
        patched.setattr(read_csv, "_HEAD_BYTES", 1)
        path = tmp_path / "table.csv"
        write(path, [CHINESE, *table], encoding, ends)
        rows, rejected, blank, _ = read(path)
    filled = {
        number: row for number, row in enumerate(table, start=2) if any(cell.strip(" \t\r\n\u3000") for cell in row)
    }
    assert rejected == []
    assert rows == filled
    assert blank == len(table) - len(filled)


def test_every_encoding_is_recognised(tmp_path: Path) -> None:
    for encoding, expected in (
        ("utf-8", "utf-8"),
        ("utf-8-sig", "utf-8-sig"),
        ("gb18030", "gb18030"),
        ("utf-16-le", "utf-16-le"),
        ("utf-16-be", "utf-16-be"),
    ):
        path = tmp_path / "table.csv"
        bom = {"utf-16-le": "\ufeff", "utf-16-be": "\ufeff"}.get(encoding, "")
        path.write_bytes((bom + "alpha,beta,gamma\r\n1,阿勒泰市,𠀀\r\n").encode(encoding))
        rows, rejected, _, found = read(path)
        assert (rows, rejected, found) == ({2: ("1", "阿勒泰市", "𠀀")}, [], expected)


def test_encoding_that_shows_late_is_recognised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that begins with nothing but ASCII is not taken for UTF-8 because of that."""
    monkeypatch.setattr(read_csv, "BLOCK_BYTES", 256)
    path = tmp_path / "table.csv"
    path.write_bytes(("alpha,beta,gamma\n" + "1,2,3\n" * 200 + "1,控制满意,3\n").encode("gb18030"))
    rows, rejected, _, encoding = read(path)
    assert rows[202] == ("1", "控制满意", "3")
    assert (rejected, encoding) == ([], "gb18030")


def test_gzip(tmp_path: Path) -> None:
    path = tmp_path / "table.csv.gz"
    # several members, as a log rotation or `cat` leaves them
    path.write_bytes(gzip.compress("alpha,beta,gamma\n1,男,3\n".encode()) + gzip.compress("4,女,6\n".encode()))
    assert read(path, zipped=True)[0] == {2: ("1", "男", "3"), 3: ("4", "女", "6")}


def test_titles_blank_rows_and_row_numbers(tmp_path: Path) -> None:
    """Numbers are those a spreadsheet shows: titles, header, blank rows and a row of two lines count, each as one."""
    path = tmp_path / "table.csv"
    path.write_text(
        '随访表,,\n\n"填报：\n某院",2024年\nalpha,beta,gamma\n1,2,3\n,,\n\n4,"5\n5",6\n , ,\n7,8,9', newline=""
    )
    rows, rejected, blank, _ = read(path)
    assert rows == {5: ("1", "2", "3"), 8: ("4", "5\n5", "6"), 10: ("7", "8", "9")}
    assert (rejected, blank) == ([], 3)


def test_spare_commas_are_no_damage(tmp_path: Path) -> None:
    """Empty cells behind the header's columns, in one row or in all of them; a filled one cannot be placed."""
    for many in (1, 500):
        path = tmp_path / "table.csv"
        path.write_text("alpha,beta,gamma\n" + "1,2,3,,\n" * many + "1,2,3,,x\n" + "4,5,6\n")
        rows, rejected, _, _ = read(path)
        assert len(rows) == many + 1
        assert [(row.row_number, row.reason, row.raw) for row in rejected] == [
            (many + 2, "有 5 列，表头是 3 列，无法对应", "1,2,3,,x")
        ]


def test_unnamed_last_columns_may_be_absent(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("alpha,beta,,\n1,2\n3,4,5,\n6\n")
    rows, rejected, _, _ = read(path)
    assert rows == {2: ("1", "2", "", ""), 3: ("3", "4", "5", "")}
    assert [row.row_number for row in rejected] == [4]


def test_rows_of_another_width_are_rejected(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes("alpha,beta,gamma\r\n1,2,3\r\n1,2\r\n1,2,3,男\r\n4,5,6\r\n".encode("gb18030"))
    rows, rejected, _, _ = read(path)
    assert rows == {2: ("1", "2", "3"), 5: ("4", "5", "6")}
    assert rejected == [
        Rejected(3, "有 2 列，表头是 3 列，无法对应", "1,2"),
        Rejected(4, "有 4 列，表头是 3 列，无法对应", "1,2,3,男"),
    ]


@pytest.mark.parametrize(
    ("encoding", "bad", "shown"),
    [("utf-8", b"\xff", "\\xff"), ("gb18030", b"\xd5\x2c", "\\xd5"), ("utf-16", b"\x00\xd8", "\\xed\\xa0\\x80")],
)
def test_undecodable_bytes_cost_their_row(tmp_path: Path, encoding: str, bad: bytes, shown: str) -> None:
    """A broken character eats neither the comma nor the line end behind it."""
    head, before, after = (
        text.encode(encoding)[2 if encoding == "utf-16" else 0 :]
        for text in ("alpha,beta,gamma\n张,三,1\n", "李", ",四,2\n王,五,3\n")
    )
    bom = b"\xff\xfe" if encoding == "utf-16" else b""
    if encoding == "gb18030":
        after = after[1:]  # its comma is part of ``bad``
    path = tmp_path / "table.csv"
    path.write_bytes(bom + head + before + bad + after)
    rows, rejected, _, _ = read(path)
    assert rows == {2: ("张", "三", "1"), 4: ("王", "五", "3")}
    (row,) = rejected
    assert row.row_number == 3
    assert row.reason.startswith("含有无法按")
    assert row.raw == f"李{shown},四,2"


def test_many_undecodable_rows(tmp_path: Path) -> None:
    """Half the rows damaged, some within quotes: the others come through."""
    good = '好,"多,格",行\r\n'.encode()
    bad = b'\xfe,"a,\xffb",c\r\n'
    path = tmp_path / "table.csv"
    path.write_bytes(b"alpha,beta,gamma\r\n" + (good + bad) * 300)
    rows, rejected, _, _ = read(path)
    assert set(rows.values()) == {("好", "多,格", "行")}
    assert [row.row_number for row in rejected] == list(range(3, 603, 2))


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    content=st.lists(
        st.sampled_from(
            [
                b'"',
                b",",
                b"\n",
                b"\r",
                b"a",
                "男".encode(),
                b'"a"',
                b'a"',
                b"x,y,z\n",
                b"1,2,3,4,5,6,7,8,9\n",
                b",,,,,,",
            ]
        ),
        max_size=60,
    ),
    block=st.sampled_from((1, 7, 64)),
    width=st.sampled_from((3, 9)),  # below and above where a swallowed row is told by its commas
)
def test_any_bytes_are_accounted_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: list[bytes], block: int, width: int
) -> None:
    """Whatever stands below the header, wherever blocks are cut: same rows, same rejects, nothing raised or lost."""
    body = b"".join(content)
    path = tmp_path / "table.csv"
    path.write_bytes(",".join(f"c{place}" for place in range(width)).encode() + b"\n" + body)
    with monkeypatch.context() as patched:
        patched.setattr(read_csv, "_HEAD_BYTES", 1)
        patched.setattr(read_csv, "BLOCK_BYTES", block)
        cut = read(path)
    assert cut == read(path)
    rows, rejected, _, _ = cut
    assert all(len(row) == width for row in rows.values())
    delivered = body.decode()
    for row in rejected:
        assert row.raw in delivered


def test_unclosed_quote_costs_its_line_alone(tmp_path: Path) -> None:
    lines = [f"{number},b{number},c" for number in range(2, 5000)]
    lines[100] = '102,"never closed,c'
    path = tmp_path / "table.csv"
    path.write_text("alpha,beta,gamma\n" + "\n".join(lines) + "\n")
    rows, rejected, _, _ = read(path)
    assert rejected == [Rejected(102, "引号没有配对，无法分列", '102,"never closed,c')]
    assert sorted({*rows, 102}) == list(range(2, 5000))


def test_two_unclosed_quotes_do_not_make_one_row(tmp_path: Path) -> None:
    """The second quote closes the first, in the same column: the width is right, yet a row was swallowed."""
    width = 10
    header = ",".join(f"c{place}" for place in range(width))
    good = ",".join("x" * width)
    for between in (0, 1, 50):
        path = tmp_path / "table.csv"
        broken = 'a,a,"a,a,a,a,a,a,a,a', 'b,b,b",b,b,b,b,b,b,b'
        path.write_text("\n".join([header, good, broken[0], *[good] * between, broken[1], good, ""]))
        rows, rejected, _, _ = read(path)
        assert [row.row_number for row in rejected] == [3]
        assert len(rows) == between + 3
        assert rows[between + 4][2] == 'b"'


def test_long_multi_line_cells_survive(tmp_path: Path) -> None:
    """A doctor's text of many lines with commas is a cell, not damage."""
    text = "\n".join("头痛,两天" for _ in range(100))
    path = tmp_path / "table.csv"
    write(path, [NAMES, ("1", text, "3"), ("4", "5", "6")])
    assert read(path)[0] == {2: ("1", text, "3"), 3: ("4", "5", "6")}


def test_quotes_where_none_belong(tmp_path: Path) -> None:
    """A quote within an unquoted cell is a character; text behind a closing quote makes the row unreadable."""
    path = tmp_path / "table.csv"
    path.write_text('alpha,beta,gamma\n5" 管,="6543",b"\n"张三"丰,1,2\n"a" ,\t"b",c\n')
    rows, rejected, _, _ = read(path)
    assert rows == {2: ('5" 管', '="6543"', 'b"'), 4: ("a ", '\t"b"', "c")}
    assert [(row.row_number, row.raw) for row in rejected] == [(3, '"张三"丰,1,2')]


def test_line_without_end_does_not_fill_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "MAX_LINE_BYTES", 1000)
    monkeypatch.setattr(read_csv, "BLOCK_BYTES", 300)
    monkeypatch.setattr(read_csv, "_HEAD_BYTES", 1)
    path = tmp_path / "table.csv"
    path.write_text("alpha,beta,gamma\n1,2,3\n" + "x" * 5000 + ",2,3\n4,5,6\n")
    rows, rejected, _, _ = read(path)
    assert list(rows.values()) == [("1", "2", "3"), ("4", "5", "6")]
    assert [(row.row_number, row.reason) for row in rejected] == [(3, "一行超过 4 MB，无法分列")]


def test_lines_longer_than_a_block(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("alpha,beta,gamma\n" + "1,2,3\n" * 1000 + "x" * 3_000_000 + ",2,3\n4,5\n")
    rows, rejected, _, _ = read(path)
    assert len(rows[1002][0]) == 3_000_000
    assert [row.row_number for row in rejected] == [1003]


def test_nul_is_a_garbled_character(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(b"alpha,beta,gamma\n1,2\x00,3\n4,5,6\n" + b"\x00" * 40)
    rows, rejected, _, _ = read(path)
    assert rows == {2: ("1", "2\ufffd", "3"), 3: ("4", "5", "6")}
    assert [row.row_number for row in rejected] == [4]  # the preallocated end of an interrupted copy


def test_dos_end_of_file_mark_is_blank(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(b"alpha,beta,gamma\r\n1,2,3\r\n\x1a")
    assert read(path)[:3] == ({2: ("1", "2", "3")}, [], 1)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "文件是空的"),
        (b"\xef\xbb\xbf", "文件是空的"),
        (b"\r\n  \r\n", "文件是空的"),
        (b"\x00" * 5000, "全是空字节"),
        ("alpha,beta\n1,2\n".encode("utf-16-le"), "没有 BOM 标记的 UTF-16"),
        (b"a,b,c\n1,2,3\n", "没有找到表头"),
        (b"alpha\tbeta\tgamma\n1\t2\t3\n", "像是用制表符分隔"),
        (b"alpha;beta;gamma\n", "像是用分号分隔"),
        (b"PK\x03\x04....", "内容却是 xlsx 工作簿"),
        (b"\xd0\xcf\x11\xe0....", "内容却是 xls 工作簿"),
        (b"PAR1....", "内容却是 Parquet"),
        (b"\x1f\x8b....", "内容却是 gz 压缩文件"),
        (b"  <html><table>", "内容却是网页"),
        (b"\n" * 20 + b"alpha,beta,gamma\n", "没有找到表头"),
        (b"," * 1_000_000 + b"\nalpha,beta\n", "有 1000001 列，超过上限 2000 列"),
        (b"alpha,beta," + b"x" * 20_000_000, "没有找到表头|列"),
    ],
)
def test_no_such_table(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(content)
    if said == "没有找到表头|列":  # a header with one endless cell is still a header
        assert read(path)[0] == {}
        return
    with pytest.raises(UnreadableError, match=said):
        read(path)


@pytest.mark.parametrize("cut", [1, 9, 30, -1, -8])
def test_truncated_gzip(tmp_path: Path, cut: int) -> None:
    whole = gzip.compress(b"alpha,beta,gamma\n" + b"1,2,3\n" * 10_000)
    path = tmp_path / "table.csv.gz"
    path.write_bytes(whole[:cut])
    with pytest.raises(UnreadableError, match=r"gz 压缩文件不完整|文件是空的"):
        read(path, zipped=True)


def test_gzip_that_is_none(tmp_path: Path) -> None:
    path = tmp_path / "table.csv.gz"
    path.write_bytes(b"alpha,beta,gamma\n")
    with pytest.raises(UnreadableError, match="内容却不是 gz"):
        read(path, zipped=True)


def test_gzip_bomb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read_csv, "MAX_UNZIPPED_BYTES", 2 << 20)
    path = tmp_path / "table.csv.gz"
    path.write_bytes(gzip.compress(b"alpha,beta,gamma\n" + b"1,2,3\n" * 500_000))
    with pytest.raises(UnreadableError, match="解压后超过"):
        read(path, zipped=True)


def test_cells_are_text_in_one_column_type(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("alpha,beta,gamma\n1,,\n")
    table = open_csv(path, KNOWN)
    (batch,) = [piece() for piece in table.pieces]
    assert dict(batch.cells.schema) == {"_row_number": pl.Int64, "0": pl.String, "1": pl.String, "2": pl.String}
