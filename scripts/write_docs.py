"""Writes what is generated in docs/: the form dictionary, and the tables of the warehouse page.

    .venv/bin/python scripts/write_docs.py           writes docs/表单字典.md and docs/数据仓库.md
    .venv/bin/python scripts/write_docs.py --check    writes nothing; exit status 1 when one of them is out of date

The dictionary comes from rules/ (``phqc_pipeline.catalogue.handbook``), the warehouse page from the dbt project's YAML
with the models that the catalogue adds, so that neither is described twice. ``tests/test_docs.py`` checks both.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import yaml

from phqc_pipeline.catalogue import Catalogue, Context, Form, Scheme, load_catalogue
from phqc_pipeline.catalogue.handbook import dictionary_page, markdown_table
from phqc_pipeline.home import DEFAULT_RULES, PROJECT_DIR
from phqc_pipeline.warehouse.form_models import LAKE_TYPES
from phqc_pipeline.warehouse.publishing import SCHEMAS
from phqc_pipeline.warehouse.staging import generate_models, prepare_project

DOCS = PROJECT_DIR / "docs"
DICTIONARY, WAREHOUSE = "表单字典.md", "数据仓库.md"

_ALIAS = re.compile(r"alias\s*=\s*'(\w+)'")
_ANY_DAY = date(2024, 12, 31)  # names, columns and comments do not depend on it

_SCHEMA_TITLES: Mapping[str, str] = {
    "qc": "质控：运行、规则、结果、问题",
    "ingest": "收文：收到的文件与拒收的行",
    "records": "记录：各表单的现行快照（含居民个人信息，不得外传）",
    "report": "报表：上报数，及其与记录的核对",
    "indicator": "工作指标",
    "billing": "服务费",
    "mart": "统计：供分析直接取用",
}

#: In the warehouse page everything above this line is written by hand, everything below it here.
MARK = "<!-- 以下由 scripts/write_docs.py 生成，请勿手改 -->"


@dataclass(frozen=True)
class Table:
    """One published table: ``columns`` are (name, comment) in the order described."""

    schema: str
    name: str
    comment: str
    columns: tuple[tuple[str, str], ...]

    @property
    def full_name(self) -> str:
        return f"{self.schema}.{self.name}"


def pages(cat: Catalogue) -> dict[Path, str]:
    """Every generated page: path → text."""
    return {DOCS / DICTIONARY: dictionary_page(cat), DOCS / WAREHOUSE: warehouse_page(cat)}


def warehouse_page(cat: Catalogue) -> str:
    """Every published table and column with its comment."""
    tables = published_tables(cat)
    parts = [_written_by_hand(), "## 有哪些表\n", markdown_table(("表", "说明"), [_listed(table) for table in tables])]
    for schema in SCHEMAS:
        parts.append(f"## {schema}　{_SCHEMA_TITLES[schema]}\n")
        parts += [_described(table, cat) for table in tables if table.schema == schema]
    return "\n".join(parts).rstrip() + "\n"


def published_tables(cat: Catalogue) -> list[Table]:
    """The tables of the contract's schemas, as the dbt project with this catalogue's own models describes them."""
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder)
        ctx = Context.natural_year(_ANY_DAY)
        prepare_project(project, cat, ctx, Scheme("every_rule", "全部规则", None, {}, ()), project / "inputs")
        generate_models(project, cat, ctx, [])
        found = [*_tables(project / "models" / "published"), *_tables(project / "models" / "marts")]
    return sorted(found, key=lambda table: (SCHEMAS.index(table.schema), table.name))


def _written_by_hand() -> str:
    """The warehouse page down to the mark."""
    text = (DOCS / WAREHOUSE).read_text(encoding="utf-8")
    head, mark, _ = text.partition(MARK)
    if not mark:
        raise LookupError(f"{WAREHOUSE} lacks the line {MARK}")
    return f"{head}{mark}\n"


def _tables(folder: Path) -> Iterator[Table]:
    """Every model below ``folder`` that a YAML describes. Its schema is its folder's, its name may have an alias."""
    models = {path.stem: path for path in folder.rglob("*.sql")}
    for described in sorted(folder.rglob("_*.yml")):
        for model in yaml.safe_load(described.read_text(encoding="utf-8"))["models"]:
            path = models.pop(model["name"])
            alias = _ALIAS.search(path.read_text(encoding="utf-8"))
            schema = "mart" if folder.name == "marts" else path.relative_to(folder).parts[0]
            columns = tuple((column["name"], column["description"]) for column in model["columns"])
            yield Table(schema, alias[1] if alias else model["name"], model["description"], columns)
    if models:
        raise LookupError(f"no YAML describes {', '.join(sorted(models))}")


def _listed(table: Table) -> tuple[str, str]:
    return f"[`{table.full_name}`](#{table.full_name.replace('.', '-')})", table.comment


def _described(table: Table, cat: Catalogue) -> str:
    head = f'<a id="{table.full_name.replace(".", "-")}"></a>\n\n### {table.full_name}\n\n{table.comment}。\n'
    form = cat.forms.get(table.name) if table.schema == "records" else None
    if form is None:
        return f"{head}\n{markdown_table(('列', '说明'), [(f'`{name}`', said) for name, said in table.columns])}"
    rows = [(f"`{name}`", _lake_type(form, name), said) for name, said in table.columns]
    pointer = f"字段的写法、范围、代码见 [表单字典]({DICTIONARY}#{form.form_id})。"
    return f"{head}\n{pointer}\n\n{markdown_table(('列', '类型', '说明'), rows)}"


def _lake_type(form: Form, name: str) -> str:
    if form.has(name):
        return LAKE_TYPES[form.field(name).kind]
    return "BIGINT" if name == "_row_number" else "VARCHAR"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="写出 docs/ 里由程序生成的两页")
    parser.add_argument("--check", action="store_true", help="只看是否最新，不写")
    parser.add_argument("--rules", type=Path, default=DEFAULT_RULES, help="规则目录")
    given = parser.parse_args(arguments)
    stale = []
    for path, text in pages(load_catalogue(given.rules)).items():
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            continue
        stale.append(path.name)
        if not given.check:
            path.write_text(text, encoding="utf-8")
    if stale:
        print(f"{'不是最新' if given.check else '已更新'}：{'、'.join(stale)}")
    return 1 if stale and given.check else 0


if __name__ == "__main__":
    sys.exit(main())
