"""The report pages as a reader has them: on a telephone and on a desk, in a browser without a network."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.handbook.site_checks import CHROMIUM, headless

#: What the page measures of itself: whether it can be scrolled sideways, how small its smallest chart text is.
MEASURE = """<script>
const texts = [...document.querySelectorAll("figure svg text")].map(one => one.getBoundingClientRect());
const boxes = [...document.querySelectorAll("h1, h2, .card, figure, table")].map(one => one.getBoundingClientRect());
const told = {
  width: innerWidth, wide: document.documentElement.scrollWidth, charts: document.querySelectorAll("figure svg").length,
  smallest: Math.min(...texts.map(box => box.height)), sections: document.querySelectorAll("section > h2").length,
  outside: texts.filter(box => box.left < -1 || box.right > innerWidth + 1).length,
  empty: boxes.filter(box => box.width < 20 || box.height < 8).length,
};
parent.postMessage(JSON.stringify(told), "*");
</script>"""

#: A browser's window cannot be as narrow as a telephone; a frame in it can.
WINDOW = """<!doctype html><body><iframe src="page.html" style="border: 0; width: WIDTHpx; height: 900px"></iframe>
<script>onmessage = event => document.body.dataset.told = event.data;</script></body>"""


def measured(page: Path, width: int, folder: Path) -> dict[str, Any]:
    """What ``page`` measures of itself in a window of ``width`` pixels."""
    assert CHROMIUM is not None
    copy, window = folder / "page.html", folder / "window.html"
    copy.write_text(page.read_text(encoding="utf-8").replace("</body>", MEASURE + "</body>"), encoding="utf-8")
    window.write_text(WINDOW.replace("WIDTH", str(width)), encoding="utf-8")
    options = ["--window-size=1400,1000", "--hide-scrollbars", "--dump-dom", window.as_uri()]
    done = subprocess.run(
        [CHROMIUM, *headless(folder / "profile"), *options], capture_output=True, text=True, timeout=120, check=True
    )
    told = re.search(r'data-told="([^"]+)"', done.stdout)
    assert told, done.stderr[-2000:]
    return json.loads(told[1].replace("&quot;", '"'))


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
@pytest.mark.parametrize("width", [390, 1200])
@pytest.mark.parametrize("folder", ["65*", "全部机构"])
def test_page_fits_its_window(small_home: Path, tmp_path: Path, folder: str, width: int) -> None:
    page = next((small_home / "published").glob(f"{folder}/质控报告.html"))
    told = measured(page, width, tmp_path)
    assert told["width"] == width
    assert told["wide"] <= width, "the page scrolls sideways"
    assert told["charts"] >= 4
    assert told["smallest"] >= 9, "text of a chart cannot be read"
    assert told["outside"] == 0
    assert told["empty"] == 0
    assert told["sections"] >= 8
