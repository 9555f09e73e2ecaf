"""Having Sphinx make the site: the pages written aside, the site built aside, then put in place of the old one.

Belongs here: Sphinx, its settings, files. Does not belong here: what stands on the pages.
"""

from __future__ import annotations

import gc
import io
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from phqc_pipeline.catalogue import Catalogue
from phqc_pipeline.catalogue.notes import read_notes
from phqc_pipeline.handbook.book import Book
from phqc_pipeline.handbook.form_pages import code_pages, form_pages, report_pages
from phqc_pipeline.handbook.index_pages import TITLE, index_pages
from phqc_pipeline.handbook.rule_pages import rule_pages
from phqc_pipeline.home import DBT_PROJECT_DIR, PROJECT_DIR

THEME = Path(__file__).parent / "theme"
MODELS = DBT_PROJECT_DIR / "models" / "cross"
RULINGS_PAGE = PROJECT_DIR / "docs" / "decisions" / "rulings.md"
MARK = ".phqc-handbook"  # lies in a folder that this program made and may replace

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_FONTS = '"PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", "Source Han Sans SC", "WenQuanYi Micro Hei", sans-serif'
_SETTINGS: Mapping[str, Any] = {
    "project": TITLE,
    "html_title": TITLE,
    "language": "zh_CN",
    "html_search_language": "zh",
    "extensions": ["myst_parser", "phqc_pipeline.handbook.search", "phqc_pipeline.handbook.navigation"],
    "myst_enable_extensions": ["attrs_inline"],
    "myst_heading_anchors": 3,
    "html_theme": "furo",
    "html_theme_options": {
        "light_css_variables": {"font-stack": _FONTS},
        "dark_css_variables": {"font-stack": _FONTS},
        "top_of_page_buttons": [],
    },
    "html_static_path": ["_theme/static"],
    "html_css_files": ["handbook.css"],
    "templates_path": ["_theme/templates"],
    "locale_dirs": ["_theme/locale"],
    "exclude_patterns": ["_theme"],
    # A page opened from disk may not read another one, so a result shows its title and no passage.
    "html_show_search_summary": False,
    "html_search_scorer": str(THEME / "scorer.js"),
    "html_copy_source": False,
    "html_show_sourcelink": False,
    "html_show_copyright": False,
    "html_use_index": False,
    "html_domain_indices": False,
    "smartquotes": False,
    "suppress_warnings": ["misc.highlighting_failure"],  # SQL with a Chinese name is merely shown in one colour
    "highlight_language": "text",
}


class HandbookError(RuntimeError):
    """The site cannot be built; the message says what is amiss on which page."""


class FolderTakenError(HandbookError):
    """The folder asked for holds something that is no handbook of ours; the message says what to do."""


@dataclass(frozen=True)
class Built:
    """A site that stands: its first page, how many pages it has, and how many rules."""

    first_page: Path
    pages: int
    rules: int


def build_handbook(
    catalogue: Catalogue, out: Path, *, models: Path = MODELS, rulings: Path | None = RULINGS_PAGE
) -> Built:
    """Build the handbook of ``catalogue`` into the folder ``out``, in place of an older handbook there.

    ``models`` holds the SQL of the dbt models by name; ``rulings`` is the page of rulings, left out when None or not
    there. Raises FolderTakenError when ``out`` holds something else, HandbookError when Sphinx finds anything amiss (a
    link that leads nowhere is a fault); the folder is then left as it was. CatalogueError for a bad
    ``dimensions.yaml``.
    """
    book = Book(
        catalogue,
        read_notes(catalogue.directory),
        {path.stem: path.read_text(encoding="utf-8") for path in sorted(models.glob("*.sql"))},
        rulings.read_text(encoding="utf-8") if rulings and rulings.is_file() else "",
    )
    out = Path(out).resolve()
    _check_replaceable(out)
    pages = handbook_pages(book)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}-", dir=out.parent) as work:
        source, site = Path(work) / "source", Path(work) / "site"
        _write(source, pages)
        _run_sphinx(source, site, Path(work) / "doctrees")
        (site / MARK).write_text("此文件夹由 phqc rules docs 生成，再次生成时整个替换。\n", encoding="utf-8")
        _put_in_place(site, out, Path(work) / "old")
    return Built(out / "index.html", len(pages), len(book.latest))


def handbook_pages(book: Book) -> dict[str, str]:
    """Every page as Markdown, by name without ending."""
    return {**index_pages(book), **form_pages(book), **code_pages(book), **report_pages(book), **rule_pages(book)}


def _check_replaceable(out: Path) -> None:
    if out.is_dir() and any(out.iterdir()) and not (out / MARK).is_file():
        raise FolderTakenError(f"{out} 里有别的文件，不会覆盖。用 --out 指定一个新的或空的文件夹")
    if out.exists() and not out.is_dir():
        raise FolderTakenError(f"{out} 是一个文件，不是文件夹。用 --out 另指定一个文件夹")


def _write(source: Path, pages: Mapping[str, str]) -> None:
    shutil.copytree(THEME, source / "_theme")
    for name, said in pages.items():
        path = source / f"{name}.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(said, encoding="utf-8")


def _run_sphinx(source: Path, site: Path, doctrees: Path) -> None:
    from sphinx.application import Sphinx  # takes half a second; only this command needs it
    from sphinx.errors import SphinxError
    from sphinx.util.docutils import docutils_namespace

    complaints = io.StringIO()
    try:
        with docutils_namespace(), _rare_garbage_collection():
            app = Sphinx(
                source, None, site, doctrees, "html", dict(_SETTINGS), status=None, warning=complaints, freshenv=True
            )
            app.build(force_all=True)
    except SphinxError as error:
        raise HandbookError(f"手册没有生成：{error}") from error
    found = [line for line in _COLOUR.sub("", complaints.getvalue()).splitlines() if line.strip()]
    if found or app.statuscode:
        listed = "\n".join(f"  {line.replace(f'{source}{os.sep}', '')}" for line in found[:20])
        raise HandbookError(f"手册没有生成，页面有 {len(found)} 处不对：\n{listed}")


@contextmanager
def _rare_garbage_collection() -> Iterator[None]:
    """The collector would walk the pages again and again, for a third of the time; never would cost 400 MB."""
    usual = gc.get_threshold()
    gc.set_threshold(200_000, 20, 100)
    try:
        yield
    finally:
        gc.set_threshold(*usual)


def _put_in_place(site: Path, out: Path, old: Path) -> None:
    if out.exists():
        out.rename(old)
    try:
        site.rename(out)
    except OSError:
        if old.exists():
            old.rename(out)
        raise
