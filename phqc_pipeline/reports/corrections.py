"""Proposed corrections (建议更正): where the catalogue calls a suggestion certain, files a platform can import.

Belongs here: which open findings have a correction nothing speaks against, and the files. Does not belong here: what
is suggested (the rules say it), and correcting anything: the files are proposals to the institution, never read back.

A correction is proposed when the rule's suggestion is marked ``certain`` and computed a value, no other finding stands
on a cell the value was computed from (nor on the person's identity number, if that is one of them), none of the rules
that would make it doubtful (``doubted_by``) was found on the record, and no two rules propose different values.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import duckdb
import polars as pl

from phqc_pipeline.catalogue import Catalogue
from phqc_pipeline.catalogue.model import Form
from phqc_pipeline.checks.wording import EMPTY
from phqc_pipeline.reports.titles import field_titles, form_titles

LIST_NAME = "建议更正清单.csv"
IMPORT_NAME = "建议更正_{}.csv"
_HEADERS = {
    "form_title": "表单", "record_id": "记录编号", "archive_no": "健康档案编号", "service_date": "服务日期",
    "doctor_name": "责任医生", "field_title": "栏目", "old": "原值", "new": "新值", "new_name": "新值含义",
    "rule_id": "规则编号", "message": "理由", "basis": "依据", "finding_id": "问题编号",
}  # fmt: skip
_BOM = True  # spreadsheets take a CSV file for GB18030 otherwise
_FORMULA = r"^[=@\t\r]|^[+-][^0-9.]"


def read_corrections(con: duckdb.DuckDBPyConnection, cat: Catalogue, institution_code: str) -> pl.DataFrame:
    """One row a cell to correct, by form and record: form_id, form_title, subject_id, record_id, archive_no,
    service_date, doctor_name, field, field_title, old, new, new_name (of a code), rule_id, message, basis, finding_id.

    ``old`` is what was delivered, empty when nothing was; ``new`` what the field takes: a code, a number, a date.
    """
    grounds = _grounds(cat)
    con.register("_grounds", grounds.to_arrow())
    con.register("_doubts", _doubts(cat).to_arrow())
    found = con.execute(_SURE, [institution_code]).pl()
    con.unregister("_grounds")
    con.unregister("_doubts")
    return _written(found, cat).sort("form_title", "record_id", "archive_no", "field", nulls_last=True)


def write_corrections(folder: Path, corrections: pl.DataFrame, cat: Catalogue) -> Iterator[str]:
    """Write the list of all corrections and one import file a form into ``folder``; yields the files' names.

    The list has a line for each cell, with old and new value and ground. An import file is an extract of the form cut
    down to what is to change: its own headers, one line a record, only the cells to correct filled, and a last column
    更正依据 that says why. They hold archive numbers and dates of birth: for the institution's own folder.
    """
    if corrections.is_empty():
        return
    texts = ("old", "message", "doctor_name")
    listed = corrections.select(
        pl.when(pl.col(name).str.contains(_FORMULA)).then("'" + pl.col(name)).otherwise(pl.col(name)).alias(title)
        if name in texts
        else pl.col(name).alias(title)
        for name, title in _HEADERS.items()
    )
    listed.write_csv(folder / LIST_NAME, include_bom=_BOM)
    yield LIST_NAME
    for part in corrections.partition_by("form_id", maintain_order=True):
        name = IMPORT_NAME.format(part["form_id"][0])
        _import_file(part, cat.forms[part["form_id"][0]]).write_csv(folder / name, include_bom=_BOM)
        yield name


def _grounds(cat: Catalogue) -> pl.DataFrame:
    """form_id, rule_id, field, ground: the cells each certain suggestion is computed from, but the one it is for."""
    rows = [
        (check.form_id, check.rule.rule_id, check.field, ground)
        for form_id in cat.forms
        for check in cat.checks(form_id)
        if check.rule.suggestion and check.rule.suggestion.certain and check.suggestion
        for ground in sorted((check.suggestion.touches | {check.field}) - {""})
    ]
    names = ("form_id", "rule_id", "field", "ground")
    return pl.DataFrame(rows, schema=dict.fromkeys(names, pl.String), orient="row").unique()


def _doubts(cat: Catalogue) -> pl.DataFrame:
    rows = {(rule.rule_id, doubt) for rule in cat.rules if rule.suggestion for doubt in rule.suggestion.doubted_by}
    return pl.DataFrame(sorted(rows), schema=dict.fromkeys(("rule_id", "doubt"), pl.String), orient="row")


_SURE = """
    WITH open AS (
        SELECT * FROM qc.finding_current WHERE institution_code = $1 AND state <> 'waived'
    ),
    proposed AS (
        SELECT f.* FROM open AS f
        WHERE f.subject_kind = 'record' AND f.suggestion <> '' AND NOT contains(f.suggestion, '*')
          AND EXISTS (FROM _grounds g WHERE g.form_id = f.form_id AND g.rule_id = f.rule_id AND g.field = f.field)
    ),
    resting AS (
        SELECT f.finding_id, f.form_id, f.subject_id, f.archive_no, g.ground FROM proposed AS f
        JOIN _grounds g ON g.form_id = f.form_id AND g.rule_id = f.rule_id AND g.field = f.field AND g.ground <> f.field
    ),
    shaky AS (
        -- something else is wrong with a cell it rests on: of the record, or of the person (one number, two archives)
        SELECT f.finding_id FROM resting AS f
        JOIN open AS o ON o.form_id = f.form_id AND o.subject_id = f.subject_id AND o.field = f.ground
        WHERE o.subject_kind = 'record'
        UNION
        SELECT f.finding_id FROM resting AS f
        JOIN open AS o ON o.archive_no = f.archive_no AND o.field = f.ground
        WHERE o.subject_kind = 'person'
        UNION
        SELECT DISTINCT f.finding_id FROM proposed AS f
        JOIN _doubts d USING (rule_id)
        JOIN open AS o ON o.rule_id = d.doubt AND o.form_id = f.form_id AND o.subject_id = f.subject_id
    ),
    sure AS (
        SELECT * FROM proposed WHERE finding_id NOT IN (SELECT finding_id FROM shaky)
    )
    SELECT form_id, subject_id, field, any_value(record_id) AS record_id, any_value(archive_no) AS archive_no,
           any_value(service_date) AS service_date, any_value(doctor_name) AS doctor_name,
           any_value(observed) AS observed, any_value(suggestion) AS suggestion,
           string_agg(rule_id, '、' ORDER BY rule_id) AS rule_id, min_by(rule_id, rule_id) AS first_rule,
           string_agg(message, ' ' ORDER BY rule_id) AS message, min_by(finding_id, rule_id) AS finding_id
    FROM sure
    WHERE record_id IS NOT NULL
    GROUP BY form_id, subject_id, field HAVING count(DISTINCT suggestion) = 1
"""


def _written(found: pl.DataFrame, cat: Catalogue) -> pl.DataFrame:
    """Values as a cell holds them, from the words of a finding: ``1 男性`` is the code 1."""
    coded, multi = _labels(cat)
    key = pl.concat_str("form_id", pl.lit("."), "field")
    lists = key.replace_strict(coded, default=None, return_dtype=pl.String)
    labels = pl.DataFrame(
        [(name, label, code.code, code.name) for name in sorted(set(coded.values())) for code in cat.codes[name].codes
         for label in (code.code, f"{code.code} {code.name}")],
        schema=dict.fromkeys(("list", "label", "code", "name"), pl.String), orient="row",
    ).unique(["list", "label"])  # fmt: skip
    told = found.with_columns(list=lists, several=key.is_in(list(multi)), number=pl.int_range(pl.len()))
    told = told.join(
        _unlabelled(told, "suggestion", labels, "new", "new_name"), on="number", how="left"
    ).join(_unlabelled(told, "observed", labels, "old", "_"), on="number", how="left")  # fmt: skip
    basis = {rule.rule_id: rule.basis + ("" if rule.verified else "（数值待核）") for rule in cat.rules}
    empty = pl.col("old").str.starts_with(EMPTY)
    return told.with_columns(
        form_title=pl.col("form_id").replace_strict(
            form_titles(cat), default=pl.col("form_id"), return_dtype=pl.String
        ),
        field_title=key.replace_strict(field_titles(cat), default=pl.col("field"), return_dtype=pl.String),
        basis=pl.col("first_rule").replace_strict(basis, default="", return_dtype=pl.String),
        old=pl.when(empty).then(pl.lit("")).otherwise(pl.col("old").fill_null("")),
    ).select("form_id", "subject_id", "field", *_HEADERS)


def _labels(cat: Catalogue) -> tuple[Mapping[str, str], set[str]]:
    """``form.field`` → code list of the fields that have one, and which of them hold several codes."""
    fields = [(f"{form.form_id}.{one.name}", one) for form in cat.forms.values() for one in form.fields if one.codes]
    return {name: one.codes for name, one in fields if one.codes}, {name for name, one in fields if one.kind == "multi"}


def _unlabelled(told: pl.DataFrame, column: str, labels: pl.DataFrame, code: str, name: str) -> pl.DataFrame:
    """number, the codes (joined with commas) and their names of the labels in ``column``; other text as it is."""
    parts = pl.when("several").then(pl.col(column).str.split("、")).otherwise(pl.concat_list(column))
    spread = told.select("number", "list", label=parts).explode("label")
    found = spread.join(labels, on=["list", "label"], how="left", maintain_order="left")
    return found.group_by("number", maintain_order=True).agg(
        pl.coalesce("code", "label").str.join(",").alias(code),
        pl.col("name").drop_nulls().str.join("、").replace("", None).alias(name),
    )


def _import_file(corrections: pl.DataFrame, form: Form) -> pl.DataFrame:
    """The form's columns that tell a record and those to correct, in the form's order; empty is: leave as it is."""
    titles = {column.name: column.title for column in form.fields}
    keys = [name for name in ("record_id", "archive_no") if form.has(name)]
    fields = [name for name in titles if name in set(corrections["field"])]
    why = pl.format("{}：{}→{}（{}）", "field_title", pl.col("old").replace("", "空"), "new", "rule_id")
    wide = corrections.group_by("subject_id", maintain_order=True).agg(
        *(pl.col(name).first() for name in keys),
        *(pl.col("new").filter(pl.col("field") == name).first().alias(f"new_{name}") for name in fields),
        why=why.str.join("；"),
    )
    return wide.select(
        *(pl.col(name).alias(titles[name]) for name in keys),
        *(pl.col(f"new_{name}").alias(titles[name]) for name in fields),
        pl.col("why").alias("更正依据"),
    )
