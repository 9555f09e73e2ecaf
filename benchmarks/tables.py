"""The tables of README.md: written between marks, so that each benchmark replaces its own and no other."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

README = Path(__file__).resolve().parent / "README.md"


def write_table(name: str, header: Sequence[str], rows: Sequence[Sequence[str]], about: str, write: bool) -> str:
    """The figures as a Markdown table with what was measured; put into README.md when ``write``."""
    lines = ["| " + " | ".join(cells) + " |" for cells in (header, ["---"] * len(header), *rows)]
    measured_on = datetime.now(ZoneInfo("Asia/Shanghai")).date().isoformat()
    text = f"{about}；{os.cpu_count()} 核；{measured_on}\n\n" + "\n".join(lines)
    if write:
        begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
        page = README.read_text(encoding="utf-8") if README.exists() else "# 基准\n"
        block = f"{begin}\n{text}\n{end}"
        pattern = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
        page = pattern.sub(lambda _: block, page) if pattern.search(page) else f"{page.rstrip()}\n\n{block}\n"
        README.write_text(page, encoding="utf-8")
    return text
