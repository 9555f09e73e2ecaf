"""The lines of the workbook: what an institution has to put right, one line a fault, in the words of its own data.

Belongs here: joining findings to the records they are about, full values for masked ones, one line for one root.
Does not belong here: how lines are laid out on sheets (``workbook``).

Personal values stand in full, because these are the institution's own residents (contract, section 3): only for that
institution's folder. Records of other institutions are never joined, whatever archive number somebody typed.
"""

from __future__ import annotations

import duckdb
import polars as pl

from phqc_pipeline.catalogue import Catalogue
from phqc_pipeline.catalogue.model import Field, Form
from phqc_pipeline.checks.masking import STARS, mask_personal
from phqc_pipeline.reports.titles import field_titles, form_titles

#: Of the records one fault stands on, so many are listed; a cell of more is not read any more.
PLACES_LISTED = 60
STATE_TITLES = {"open": "待整改", "reopened": "反复", "waived": "已豁免", "fixed": "已整改", "retired": "不再适用"}
UNSIGNED = "（未署名）"
OF_THE_INSTITUTION = "（机构）"
_SEVERITIES = pl.Enum(["严重", "一般", "提示"])
_TEXTS = ("observed", "expected", "message", "suggestion")
#: Of findings with one root, what each says is kept; of suggestions the first.
_JOINED = {"message": "\n", "basis": "\n"}
_FIRST_KNOWN = ("suggestion",)
LINE_SCHEMA = {
    **dict.fromkeys(
        ("finding_id", "root_id", "severity", "form_id", "subject_kind", "doctor_name", "person_name", "id_number",
         "archive_no", "record_id", "field", *_TEXTS, "rule_id", "also", "state", "source_path", "places", "form_title",
         "field_title", "basis", "state_title", "answered"),
        pl.String,
    ),
    "service_date": pl.Date, "first_seen": pl.Date, "row_number": pl.Int64, "place_count": pl.UInt32,
}  # fmt: skip


def read_lines(con: duckdb.DuckDBPyConnection, cat: Catalogue, institution_code: str) -> pl.DataFrame:
    """The institution's open findings as lines to work off, sorted by doctor, form, severity and person.

    Findings that share a root are one line (0a.23): ``place_count`` of them, ``places`` says where, ``finding_id`` is
    that of the one shown. Columns: finding_id, root_id, severity, form_id, form_title, subject_kind, doctor_name,
    person_name, id_number, archive_no, service_date, record_id, field, field_title, observed, expected, message,
    suggestion, rule_id, also (the root's other rules), basis, state, state_title, first_seen, source_path, row_number,
    place_count, places, answered (the institution's last answer to it). Waived findings are among them (state
    ``waived``), in lines of their own.
    """
    forms = con.execute(
        "SELECT DISTINCT form_id FROM qc.finding_current WHERE institution_code = ? ORDER BY form_id",
        [institution_code],
    ).fetchall()
    parts = [_findings_of_form(con, cat, institution_code, form_id) for (form_id,) in forms]
    if not parts:
        return pl.DataFrame(schema=LINE_SCHEMA)
    found = _in_full(con, pl.concat(parts, how="vertical_relaxed"))
    lines = _one_line_a_root(_titled(found, cat))
    return _ordered(lines.join(_answered(con, institution_code), on="root_id", how="left"), cat)


def record_tables(con: duckdb.DuckDBPyConnection) -> frozenset[str]:
    """The forms that have a ``records`` table."""
    rows = con.execute("SELECT table_name FROM information_schema.tables WHERE table_schema = 'records'").fetchall()
    return frozenset(name for (name,) in rows)


def _findings_of_form(
    con: duckdb.DuckDBPyConnection, cat: Catalogue, institution_code: str, form_id: str
) -> pl.DataFrame:
    """One form's findings, joined to the record they are of or stand on, else to the person's records of the form."""
    personal: list[Field] = []
    joins, columns = "", {"person_name": "NULL::VARCHAR", "id_number": "NULL::VARCHAR", "source_path": "NULL::VARCHAR",
                          "row_number": "NULL::BIGINT"}  # fmt: skip
    if form_id in cat.forms and form_id in record_tables(con):
        form = cat.forms[form_id]
        personal = [column for column in form.fields if column.personal]
        columns |= {"source_path": "file.path", "row_number": "r._row_number"}
        joins = f"""
            LEFT JOIN (SELECT * FROM records."{form_id}" WHERE _institution_code = $1) r
              ON r._record_key = CASE f.subject_kind WHEN 'record' THEN f.subject_id ELSE f.record_id END
            LEFT JOIN ingest.file file ON file.file_id = r._file_id"""
        if form.has("archive_no"):
            columns |= _of_person(form)
            known = ", ".join(f"max_by({name}, _row_number) AS {name}" for name in _person_columns(form).values())
            joins += f"""
            LEFT JOIN (
                SELECT archive_no{", " + known if known else ""} FROM records."{form_id}"
                WHERE _institution_code = $1 AND archive_no IS NOT NULL GROUP BY archive_no
            ) p ON p.archive_no = f.archive_no"""
    full = "".join(f', r."{column.name}" AS "_{column.name}"' for column in personal)
    shown = ", ".join(f"{sql} AS {name}" for name, sql in columns.items())
    found = con.execute(
        f"""
        SELECT f.finding_id, f.root_id, f.severity, f.form_id, f.subject_kind, f.doctor_name, f.archive_no,
               f.service_date, f.record_id, f.field, f.observed, f.expected, f.message, f.suggestion, f.rule_id,
               f.state, f.first_seen, {shown}{full}
        FROM qc.finding_current f {joins}
        WHERE f.institution_code = $1 AND f.form_id = $2
        """,
        [institution_code, form_id],
    ).pl()
    return _with_masks(found, personal)


def _person_columns(form: Form) -> dict[str, str]:
    """What tells a person in the form's records, the line's column → the form's: the first such column is his own."""
    found: dict[str, str] = {}
    for name, kind in (("person_name", "name"), ("id_number", "id_number")):
        for column in form.fields:
            if column.personal == kind:
                found.setdefault(name, column.name)
    return found


def _of_person(form: Form) -> dict[str, str]:
    return {name: f"coalesce(r.{column}, p.{column})" for name, column in _person_columns(form).items()}


def _with_masks(found: pl.DataFrame, personal: list[Field]) -> pl.DataFrame:
    """The record's personal cells as they are masked in texts (``_masked``) and in full (``_full``), in one order.

    A mask depends on the cell alone, so the masked form of a cell is known, and found again in whatever text names it.
    """
    cells = [pl.col(f"_{column.name}") for column in personal]
    masks = [mask_personal(cell, column.personal) for cell, column in zip(cells, personal, strict=True)]
    none = pl.lit([], pl.List(pl.String))
    return found.with_columns(
        _masked=pl.concat_list(masks) if masks else none, _full=pl.concat_list(cells) if cells else none
    ).drop([f"_{column.name}" for column in personal])


def _in_full(con: duckdb.DuckDBPyConnection, found: pl.DataFrame) -> pl.DataFrame:
    """The texts with the record's own values where they were masked."""
    starred = pl.any_horizontal(pl.col(name).str.contains(STARS, literal=True) for name in _TEXTS).fill_null(False)
    hidden = found.filter(starred)
    if hidden.is_empty():
        return found.drop("_masked", "_full")
    # One pair [masked, full] after another is put into the text, which is carried along as a list of one.
    put = "CASE WHEN pair[1] = pair[2] OR pair[1] IS NULL THEN told ELSE [replace(told[1], pair[1], pair[2])] END"
    cells = ", ".join(
        f"list_reduce(list_prepend([{name}], _pairs), lambda told, pair: {put})[1] AS {name}" for name in _TEXTS
    )
    con.register("_hidden", hidden.to_arrow())
    shown = con.execute(f"""
        SELECT * EXCLUDE (_pairs) REPLACE ({cells}) FROM (
            SELECT *, list_transform(list_zip(_masked, _full), lambda pair: [pair[1], pair[2]]) AS _pairs FROM _hidden
        )""").pl()
    con.unregister("_hidden")
    return pl.concat([found.filter(~starred), shown.select(found.columns)]).drop("_masked", "_full")


def _answered(con: duckdb.DuckDBPyConnection, institution_code: str) -> pl.DataFrame:
    """root_id, answered: what the institution last said of what is still open, with the day it said so."""
    known = con.execute(
        "SELECT 1 FROM information_schema.tables WHERE table_schema = 'qc' AND table_name = 'answer'"
    ).fetchone()
    if known is None:
        return pl.DataFrame(schema={"root_id": pl.String, "answered": pl.String})
    return con.execute(
        """
        SELECT f.root_id, max_by(concat(a.answer, '（', strftime(a.snapshot_date, '%Y-%m-%d'), '）', a.explanation),
                                 (a.snapshot_date, a.row_number)) AS answered
        FROM qc.answer AS a JOIN qc.finding_current AS f USING (finding_id, institution_code)
        WHERE a.institution_code = $1 AND a.accepted GROUP BY f.root_id
        """,
        [institution_code],
    ).pl()


def _titled(findings: pl.DataFrame, cat: Catalogue) -> pl.DataFrame:
    """Titles for ids; who has to see to it."""
    basis = {rule.rule_id: rule.basis + ("" if rule.verified else "（数值待核）") for rule in cat.rules}
    forms, fields = form_titles(cat), field_titles(cat)
    nobody = pl.when(pl.col("subject_kind") == "institution").then(pl.lit(OF_THE_INSTITUTION)).otherwise(
        pl.lit(UNSIGNED)
    )  # fmt: skip
    return findings.with_columns(
        form_title=pl.col("form_id").replace_strict(forms, default=pl.col("form_id"), return_dtype=pl.String),
        field_title=pl.concat_str("form_id", pl.lit("."), "field").replace_strict(
            fields, default=pl.col("field"), return_dtype=pl.String
        ),
        basis=pl.col("rule_id").replace_strict(basis, default=None, return_dtype=pl.String),
        state_title=pl.col("state").replace_strict(STATE_TITLES, default=pl.col("state"), return_dtype=pl.String),
        doctor_name=pl.col("doctor_name").fill_null(nobody),
        waived=pl.col("state") == "waived",
    )


def _one_line_a_root(findings: pl.DataFrame) -> pl.DataFrame:
    """One line for what has one root; shown is the oldest record's, for there the archive was made."""
    keys = ["root_id", "waived"]
    none = pl.lit(None, pl.String)
    alone = {"place_count": pl.lit(1, pl.UInt32), "places": none, "also": none}
    several = findings.filter(pl.len().over(keys) > 1)
    if several.is_empty():
        return findings.with_columns(**alone).drop("waived")
    place = pl.concat_str(
        "form_title", pl.col("service_date").dt.to_string("%Y-%m-%d"), "record_id", separator=" ", ignore_nulls=True
    ).str.strip_chars()
    # A cross rule's own text counts kinds of values; the record's cell is what has to be put right.
    of_record = pl.col("subject_kind") == "record"
    where = several.sort(~of_record, "service_date", "finding_id", nulls_last=True).group_by(keys, maintain_order=True)
    told = where.agg(
        pl.all().exclude("severity", *_JOINED, *_FIRST_KNOWN).first(),
        *(pl.col(name).drop_nulls().first() for name in _FIRST_KNOWN),
        *(pl.col(name).drop_nulls().unique(maintain_order=True).head(4).str.join(_JOINED[name]) for name in _JOINED),
        pl.col("severity").cast(_SEVERITIES).min().cast(pl.String),
        also=pl.col("rule_id").unique(maintain_order=True).slice(1, 8).str.join("、").replace("", None),
        _expected=pl.col("expected").filter(of_record).drop_nulls().first(),
        _observed=pl.col("observed").filter(of_record).drop_nulls().unique(maintain_order=True).head(4).str.join("；"),
        place_count=pl.len(),
        places=place.unique(maintain_order=True).head(PLACES_LISTED).str.join("；"),
        more=place.n_unique() > PLACES_LISTED,
    ).with_columns(
        observed=pl.when(pl.col("_observed") != "").then("_observed").otherwise("observed"),
        expected=pl.when(pl.col("_observed") != "").then("_expected").otherwise("expected"),
        places=pl.col("places") + pl.when("more").then(pl.lit("……")).otherwise(pl.lit("")),
    )
    single = findings.filter(pl.len().over(keys) == 1).with_columns(**alone)
    return pl.concat([single, told.select(single.columns)]).drop("waived")


def _ordered(lines: pl.DataFrame, cat: Catalogue) -> pl.DataFrame:
    order = {name: number for number, name in enumerate((*cat.forms, *cat.reports))}
    return lines.sort(
        "doctor_name",
        pl.col("form_id").replace_strict(order, default=len(order), return_dtype=pl.Int64),
        pl.col("severity").cast(_SEVERITIES, strict=False),
        "archive_no",
        "service_date",
        "rule_id",
        "field",
        "finding_id",
        nulls_last=True,
    )
