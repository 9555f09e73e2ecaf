"""Looking at a built site as a reader would: its links, what it loads, and what its search finds in a browser."""

from __future__ import annotations

import html
import re
import shutil
import subprocess
import tempfile
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import quote, unquote, urldefrag

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
# The browser has no network here: every host name is unknown to it.
_ALONE = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--host-resolver-rules=MAP * ~NOTFOUND"),
    "--virtual-time-budget=20000",
]
_STYLE_LOADS = re.compile(r"url\(\s*['\"]?([^)'\"]+)|@import\s+['\"]([^'\"]+)")
_RESULT = re.compile(r'<li class="kind-\w+"><a href="([^"?#]+)[^>]*>(.*?)</a>')


class _Page(HTMLParser):
    """The anchors of a page, what it links to and what it loads."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id" and value:
                self.anchors.add(value)
            elif name in ("href", "src", "action", "srcset", "data", "poster") and value is not None:
                self.links.append(value)


def broken_links(site: Path) -> list[str]:
    """Links of every page that lead to no file of the site, or to no anchor in it; and those that leave the site."""
    pages = {path: _Page(path) for path in sorted(site.rglob("*.html"))}
    broken = []
    for path, page in pages.items():
        for link in set(page.links):
            address, anchor = urldefrag(link)
            target = (path.parent / unquote(address).partition("?")[0]).resolve() if address else path
            inside = "//" not in address and target.is_file() and target.is_relative_to(site.resolve())
            unknown = anchor and target in pages and unquote(anchor) not in pages[target].anchors
            if not inside or unknown:
                broken.append(f"{path.relative_to(site)}: {link}")
    return sorted(broken)


def remote_loads(site: Path) -> list[str]:
    """What style sheets would load from elsewhere (data: is in the sheet itself)."""
    return [
        f"{path.relative_to(site)}: {load[:80]}"
        for path in sorted(site.rglob("*.css"))
        for found in _STYLE_LOADS.findall(path.read_text(encoding="utf-8"))
        for load in filter(None, found)
        if "//" in load and not load.startswith("data:")
    ]


def headless(profile: Path) -> list[str]:
    """Options of a Chromium of its own profile that shows nothing and asks nobody."""
    return [*_ALONE, f"--user-data-dir={profile}"]


def found_in_browser(site: Path, query: str) -> list[tuple[str, str]]:
    """(page, title) of the results, best first, that the site's search shows in Chromium, opened from disk."""
    assert CHROMIUM is not None
    with tempfile.TemporaryDirectory() as profile:
        done = subprocess.run(
            [
                CHROMIUM,
                *headless(Path(profile)),
                "--dump-dom",
                f"{(site / 'search.html').as_uri()}?q={quote(query)}",
            ],
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        )
    assert 'class="search-summary"' in done.stdout, done.stderr[-2000:]
    return [(page, html.unescape(title)) for page, title in _RESULT.findall(done.stdout)]
