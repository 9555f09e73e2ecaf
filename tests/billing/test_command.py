"""``phqc bill`` as a clerk runs it, and PDF by whatever LibreOffice there is."""

from __future__ import annotations

import shutil
from pathlib import Path

import openpyxl
import pytest
from typer.testing import CliRunner

from phqc_pipeline.billing.pdf import PdfError, stale, write_pdfs
from phqc_pipeline.cli import app
from tests.billing.test_deliveries import DELIVERIES, taken
from tests.end_to_end.tiny import INSTITUTION, RULES


def bill(home: Path, *more: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["bill", "--home", str(home), "--rules", str(RULES), "--no-pdf", *more])
    return done.exit_code, done.output


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return taken(tmp_path_factory.mktemp("home"), tuple(DELIVERIES)).root


def test_the_bill_of_a_home(home: Path) -> None:
    status, said = bill(home, "--date", "2024-12-31")
    assert status == 0, said
    assert "订单 1 份，机构 1 家" in said
    assert "应付 ¥6,000.00（陆仟元整），已付 ¥6,077.00，未付 ¥-77.00" in said
    assert "报表更正 2 次，合计 +600.00 元" in said
    papers = {path.name for path in (home / "published" / INSTITUTION / "计费").iterdir()}
    assert papers == {"T-1_计费结算单_第3版.docx", "T-1_客户服务确认单.docx"}
    book = openpyxl.load_workbook(home / "published" / "计费" / "计费对账.xlsx")
    assert [row[9].value for row in book["更正"].iter_rows(min_row=2, max_row=3)] == [677, -77]


def test_what_cannot_be_done_is_said(home: Path, tmp_path: Path) -> None:
    assert bill(home, "--date", "2024-12-31", "--institution", "999")[0] == 2
    status, said = bill(home)  # no night was ever judged here
    assert (status, "请用 --date" in said) == (2, True)
    status, said = bill(tmp_path / "copy", "--templates")
    assert status == 0
    assert len(list((tmp_path / "copy" / "templates").glob("*.docx"))) == 5


def test_pdf_beside_each_document(tmp_path: Path) -> None:
    """A stand-in for LibreOffice that does what it is told; and one that does nothing."""
    program = tmp_path / "soffice"
    program.write_text(
        '#!/bin/sh\nwhile [ "$1" != "--outdir" ]; do shift; done\nout=$2\nshift 2\n'
        'for one in "$@"; do cp "$one" "$out/$(basename "$one" .docx).pdf"; done\n',
        encoding="utf-8",
    )
    program.chmod(0o755)
    documents = [tmp_path / f"文书{number}.docx" for number in range(3)]
    for number, path in enumerate(documents):
        path.write_text(str(number), encoding="utf-8")
    assert stale(documents) == documents
    made = write_pdfs(documents, str(program))
    assert [path.read_text("utf-8") for path in made] == ["0", "1", "2"]
    assert stale(documents) == []
    nothing = shutil.which("true")
    assert nothing is not None
    with pytest.raises(PdfError, match=r"文书0\.docx.*Word 文档不受影响"):
        write_pdfs(documents, nothing)
