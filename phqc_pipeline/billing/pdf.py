"""Documents as PDF, where LibreOffice is installed.

Belongs here: calling LibreOffice. Does not belong here: which documents there are (``documents``).
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from phqc_pipeline.warehouse.files import replace_file

#: One start of LibreOffice, some four seconds, converts so many documents.
_AT_ONCE = 100
_SECONDS_A_BATCH = 600


class PdfError(RuntimeError):
    """LibreOffice is there and did not do it; the documents stand without a PDF."""


def find_libreoffice() -> str | None:
    """The program, or None where there is none: documents then stay as they are."""
    return shutil.which("soffice") or shutil.which("libreoffice")


def stale(documents: Sequence[Path]) -> list[Path]:
    """Those whose PDF is not there or older than the document."""
    found = []
    for path in documents:
        made = path.with_suffix(".pdf")
        if not made.is_file() or made.stat().st_mtime_ns < path.stat().st_mtime_ns:
            found.append(path)
    return found


def write_pdfs(documents: Sequence[Path], program: str) -> list[Path]:
    """A PDF beside each document; returns them. Raises PdfError when LibreOffice made none of one."""
    made: list[Path] = []
    for start in range(0, len(documents), _AT_ONCE):
        made += _convert(documents[start : start + _AT_ONCE], program)
    return made


def _convert(documents: Sequence[Path], program: str) -> list[Path]:
    with tempfile.TemporaryDirectory(prefix="phqc-pdf-") as folder:
        here = Path(folder)
        copies = [here / f"{number}.docx" for number in range(len(documents))]
        for document, copy in zip(documents, copies, strict=True):
            copy.write_bytes(document.read_bytes())
        # A profile of its own: a LibreOffice that somebody has open would otherwise be asked to do it, and refuse.
        profile = f"-env:UserInstallation={(here / 'profile').as_uri()}"
        command = [program, profile, "--headless", "--convert-to", "pdf", "--outdir", str(here), *map(str, copies)]
        try:
            subprocess.run(command, capture_output=True, check=False, timeout=_SECONDS_A_BATCH)
        except subprocess.TimeoutExpired:
            raise PdfError(f"LibreOffice {_SECONDS_A_BATCH} 秒没有转完 {len(documents)} 份文档，PDF 从缺") from None
        for document, copy in zip(documents, copies, strict=True):
            converted = copy.with_suffix(".pdf")
            if not converted.is_file():
                raise PdfError(
                    f"LibreOffice 没能转换 {document.name}，PDF 从缺，Word 文档不受影响；"
                    "多为没装文字处理组件（libreoffice-writer）"
                )
            with replace_file(document.with_suffix(".pdf")) as target:
                target.write_bytes(converted.read_bytes())
    return [document.with_suffix(".pdf") for document in documents]
