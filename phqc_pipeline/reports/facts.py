"""What the report pages and documents say, read once from a published warehouse.

Belongs here: the queries. Does not belong here: how their answers look (``page``, ``charts``, ``documents``).

The facts are of one institution, or of all of them together (``institution_code`` empty); the same queries serve both.
They hold counts, titles and messages of ``qc`` and ``mart``, where nothing of a person stands in clear. Tables that a
warehouse does not have yet are read as absent, and the reader's section is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time
from typing import Any

import duckdb
import polars as pl

from phqc_pipeline.catalogue import Catalogue
from phqc_pipeline.reports.further import read_further
from phqc_pipeline.reports.titles import form_titles, item_titles

ALL = ""
SEVERITIES = ("严重", "一般", "提示")
#: Days since a finding was first seen, upper ends; the last class is open.
AGE_CLASSES = (("7 天以内", 7), ("8～30 天", 30), ("31～90 天", 90), ("90 天以上", None))
WORST_RULES = 20
DOCTORS = 30
NIGHTS_SHOWN = 60
FILES_SHOWN = 200
INDICATORS_SHOWN = 40
_RANK = "CASE severity WHEN '严重' THEN 1 WHEN '一般' THEN 2 ELSE 3 END"


@dataclass(frozen=True)
class Place:
    """An institution of the registry."""

    institution_code: str
    institution_name: str
    level: str = ""


@dataclass(frozen=True)
class InstitutionFacts:
    """One institution's figures (or all institutions') of one night; every frame is sorted as it is to be read.

    ``pass_rate`` and every share are per cent, ``score`` 0..100 (rules.md, section 0), None when nothing was judged.
    """

    institution_code: str
    institution_name: str
    level: str
    snapshot: date
    published_at: datetime
    run_id: str
    scheme: Mapping[str, Any]  # title, deductions, passes_without
    by_form: pl.DataFrame  # form_id, form_title, records, records_failed, pass_rate, score, severe, ordinary, hint
    by_dimension: pl.DataFrame  # dimension, findings, severe, ordinary, hint
    by_doctor: pl.DataFrame  # doctor_name, records, pass_rate, score, severe, ordinary, hint
    worst_rules: pl.DataFrame  # rule_id, title, severity, form_title (and how many more), findings, example, basis
    trend: pl.DataFrame  # snapshot_date, severe, ordinary, hint (violations), applicable
    states: Mapping[str, int]  # state → findings, of every finding ever opened
    ages: pl.DataFrame  # age_class, severe, ordinary, hint
    fixed_days: float | None  # median days from first seen to fixed
    peers: pl.DataFrame  # institution_code, institution_name, level, records, pass_rate, score, findings, severe …
    not_judged: pl.DataFrame  # reason, form_titles (list), rules (a rule counts once a form), institutions
    files: pl.DataFrame  # form_title, snapshot_date, path, status, reason, rows_read, rows_rejected
    reconciliation: pl.DataFrame  # item_title, year, period, reported, recomputed (not NULL), difference, status
    not_recomputed: int  # reported figures beside these, which the records cannot tell
    indicators: pl.DataFrame  # indicator_title, year, period, numerator, denominator, value, reported, target, meets
    charges: pl.DataFrame
    further: Mapping[str, pl.DataFrame] = field(default_factory=dict)  # of tables not every warehouse has

    @property
    def is_all(self) -> bool:
        return not self.institution_code

    @property
    def compared(self) -> int:
        """How many reported figures the records can tell."""
        return self.reconciliation.filter(pl.col("status") != "不可比").height

    @property
    def differing(self) -> pl.DataFrame:
        """Those of ``reconciliation`` that differ by more than is tolerated."""
        return self.reconciliation.filter(pl.col("status") == "差异")

    @property
    def findings(self) -> int:
        """Open findings, without those waived."""
        return int(self.by_dimension["findings"].sum())

    def severity(self, name: str) -> int:
        """Open findings of ``severe``, ``ordinary`` or ``hint``."""
        return int(self.by_dimension[name].sum())

    @property
    def records(self) -> int:
        return int(self.by_form["records"].sum())

    @property
    def pass_rate(self) -> float | None:
        """Per cent of judged records without the severities the scheme names (rules.md, section 0)."""
        failed = int(self.by_form["records_failed"].sum())
        return None if self.records == 0 else 100 * (1 - failed / self.records)

    @property
    def score(self) -> float | None:
        """By the scheme that judged (passed records ÷ records, weighted); without scores, the mean record score."""
        scores = self.further.get("scores")
        if scores is not None and scores.height and scores["judging"][0]:
            told: float | None = scores["score"][0]
            return told
        return self.mean_record_score

    @property
    def mean_record_score(self) -> float | None:
        """Mean of the records' scores: 100 less each finding's deduction, at least 0."""
        judged = self.by_form.filter(pl.col("records") > 0)
        return None if judged.is_empty() else float((judged["score"] * judged["records"]).sum()) / self.records


def judged_institutions(con: duckdb.DuckDBPyConnection) -> list[str]:
    """Every institution that was judged in the latest night, or delivered a file."""
    rows = con.execute(
        "SELECT DISTINCT institution_code FROM qc.rule_result UNION SELECT institution_code FROM ingest.file ORDER BY 1"
    ).fetchall()
    return [code for (code,) in rows if code]


def read_facts(
    con: duckdb.DuckDBPyConnection, cat: Catalogue, place: Place, snapshot: date, places: Mapping[str, Place]
) -> InstitutionFacts:
    """The figures of ``place`` (code ALL: of every institution) in the night of ``snapshot``.

    ``places``: every institution by its code, for names and levels.
    """
    ask = _Asker(con, place.institution_code, snapshot)
    leading = (
        "is_leading DESC, " if ask.has("qc.run", "is_leading") else ""
    )  # of several plans' runs, the one judged by
    run = con.execute(
        "SELECT run_id, scheme_id, finished_at FROM qc.run WHERE snapshot_date = ? AND status <> 'failed' "
        f"ORDER BY {leading}finished_at DESC LIMIT 1",
        [snapshot],
    ).fetchone() or ("", "", None)
    scheme = cat.schemes.get(run[1])
    fixed = ask.rows("SELECT median(state_since - first_seen) FROM qc.finding WHERE {mine} AND state = 'fixed'")
    return InstitutionFacts(
        institution_code=place.institution_code,
        institution_name=place.institution_name,
        level=place.level,
        snapshot=snapshot,
        published_at=run[2] or datetime.combine(snapshot, time()),
        run_id=run[0],
        scheme={
            "title": scheme.title if scheme else run[1],
            "deductions": dict(scheme.deductions) if scheme else {},
            "passes_without": list(scheme.passes_without) if scheme else [],
        },
        by_form=ask.frame(_BY_FORM),
        by_dimension=ask.frame(_BY_DIMENSION),
        by_doctor=ask.frame(_BY_DOCTOR),
        worst_rules=_worst_rules(ask, cat),
        trend=ask.frame(_TREND),
        states=dict(ask.rows("SELECT state, count(*) FROM qc.finding WHERE {mine} GROUP BY state")),
        ages=ask.frame(_ages_sql()),
        fixed_days=None if fixed[0][0] is None else float(fixed[0][0]),
        peers=_peers(ask, place, places),
        not_judged=_with_form_titles(ask.frame(_NOT_JUDGED), cat),
        files=_with_form_title(ask.frame(_FILES), cat),
        reconciliation=_with_item_title(ask.frame(_RECONCILIATION), cat),
        not_recomputed=ask.rows(
            "SELECT count(*) FROM report.reconciliation WHERE {mine} AND reported IS NOT NULL AND recomputed IS NULL"
        )[0][0],
        indicators=_indicators(ask),
        charges=_with_item_title(
            ask.frame("SELECT * FROM billing.charge WHERE {mine} ORDER BY institution_code, order_no"), cat, "basis_"
        ),
        further=_titled(read_further(ask), cat),
    )


class _Asker:
    """Queries of one scope: ``{mine}`` is the condition on institution_code, ``{night}`` the snapshot date."""

    def __init__(self, con: duckdb.DuckDBPyConnection, institution_code: str, snapshot: date) -> None:
        self.con, self.institution_code, self.snapshot = con, institution_code, snapshot
        self.columns: dict[str, set[str]] = {}
        for schema, table, column in con.execute(
            "SELECT table_schema, table_name, column_name FROM information_schema.columns "
            "WHERE table_schema IN ('qc', 'mart', 'report', 'indicator', 'billing')"
        ).fetchall():
            self.columns.setdefault(f"{schema}.{table}", set()).add(column)

    def has(self, table: str, *columns: str) -> bool:
        return set(columns) <= self.columns.get(table, set()) and table in self.columns

    def _run(self, sql: str) -> duckdb.DuckDBPyConnection:
        mine = "institution_code = $code" if self.institution_code else "institution_code IS NOT NULL"
        text = sql.replace("{mine}", mine).replace("{night}", f"DATE '{self.snapshot.isoformat()}'")
        return self.con.execute(text, {"code": self.institution_code} if "$code" in text else None)

    def frame(self, sql: str) -> pl.DataFrame:
        return self._run(sql).pl()

    def rows(self, sql: str) -> list[tuple]:
        return self._run(sql).fetchall()


_LEVELS = """
    count(*) FILTER (severity = '严重') AS severe, count(*) FILTER (severity = '一般') AS ordinary,
    count(*) FILTER (severity = '提示') AS hint"""
_QUALITY = """
    sum(records)::BIGINT AS records, sum(records_failed)::BIGINT AS records_failed,
    100.0 * (sum(records) - sum(records_failed)) / nullif(sum(records), 0) AS pass_rate,
    sum(mean_score * records) / nullif(sum(records), 0) AS score, sum(findings)::BIGINT AS findings,
    sum(severe_findings)::BIGINT AS severe, sum(ordinary_findings)::BIGINT AS ordinary,
    sum(hint_findings)::BIGINT AS hint"""
_BY_FORM = f"""
    SELECT form_id, any_value(form_title) AS form_title, {_QUALITY}
    FROM mart.form_quality WHERE {{mine}} GROUP BY form_id ORDER BY severe DESC, findings DESC, form_id"""
_BY_DIMENSION = f"""
    SELECT dimension, count(*) AS findings, {_LEVELS} FROM qc.finding_current
    WHERE {{mine}} AND state <> 'waived' GROUP BY dimension ORDER BY findings DESC, dimension"""
_BY_DOCTOR = f"""
    SELECT institution_code, coalesce(nullif(doctor_name, ''), '（未署名）') AS doctor_name, {_QUALITY},
           sum(reopened_findings)::BIGINT AS reopened
    FROM mart.doctor_quality WHERE {{mine}} GROUP BY ALL
    HAVING sum(findings) > 0 ORDER BY severe DESC, findings DESC, doctor_name LIMIT {DOCTORS}"""
_TREND = f"""
    SELECT * FROM (
        SELECT snapshot_date, sum(violated) FILTER (severity = '严重')::BIGINT AS severe,
               sum(violated) FILTER (severity = '一般')::BIGINT AS ordinary,
               sum(violated) FILTER (severity = '提示')::BIGINT AS hint, sum(applicable)::BIGINT AS applicable
        FROM mart.finding_trend WHERE {{mine}} AND snapshot_date <= {{night}} GROUP BY snapshot_date
        ORDER BY snapshot_date DESC LIMIT {NIGHTS_SHOWN}
    ) ORDER BY snapshot_date"""
_NOT_JUDGED = """
    SELECT reason, list(DISTINCT form_id ORDER BY form_id) AS form_ids, count(DISTINCT (form_id, rule_id)) AS rules,
        count(DISTINCT institution_code) AS institutions
    FROM qc.rule_result
    WHERE {mine} AND snapshot_date = {night} AND status IN ('not_evaluable', 'error')
    GROUP BY reason ORDER BY rules DESC, reason"""
_FILES = f"""
    SELECT institution_code, form_id, snapshot_date, path, status, reason, rows_read, rows_loaded, rows_rejected
    FROM ingest.file WHERE {{mine}} AND snapshot_date <= {{night}}
    ORDER BY snapshot_date DESC, status = 'accepted', institution_code, form_id, path LIMIT {FILES_SHOWN}"""
_RECONCILIATION = """
    SELECT institution_code, report_id, year, period, item, reported, recomputed, difference, status
    FROM report.reconciliation WHERE {mine} AND recomputed IS NOT NULL
    ORDER BY abs(difference) DESC NULLS LAST, institution_code, report_id, year DESC, period, item"""


#: What in a message could tell its record to whoever knows the person: numbers, what is masked, dates.
_IDENTIFYING = (
    (r"[0-9A-Za-z.]*\p{Han}?\*+[0-9A-Za-z]*", "……"),
    (r"\d{9,}[\dXx]?", "……"),
    (r"\d{4}-\d\d-\d\d( \d\d:\d\d(:\d\d)?)?", "某日"),
)


def _worst_rules(ask: _Asker, cat: Catalogue) -> pl.DataFrame:
    """The rules most often broken, severe ones first, each with what was said of one record.

    What tells a record is cut out of the example when it is for readers of all institutions.
    """
    example = "min_by(message, finding_id)"
    if not ask.institution_code:
        for pattern, shown in _IDENTIFYING:
            example = f"regexp_replace({example}, '{pattern}', '{shown}', 'g')"
    frame = ask.frame(f"""
        SELECT rule_id, severity, count(*) AS findings, count(DISTINCT root_id) AS problems,
               count(DISTINCT institution_code) AS institutions, count(DISTINCT form_id) AS forms,
               mode(form_id) AS form_id, {example} AS example
        FROM qc.finding_current WHERE {{mine}} AND state <> 'waived'
        GROUP BY rule_id, severity ORDER BY {_RANK}, findings DESC, rule_id LIMIT {WORST_RULES}""")
    rules = {rule.rule_id: rule for rule in cat.rules}
    titles = {rule_id: rule.title for rule_id, rule in rules.items()}
    basis = {rule_id: rule.basis + ("" if rule.verified else "（数值待核）") for rule_id, rule in rules.items()}
    return _with_form_title(frame, cat).with_columns(
        title=pl.col("rule_id").replace_strict(titles, default=pl.col("rule_id"), return_dtype=pl.String),
        basis=pl.col("rule_id").replace_strict(basis, default="", return_dtype=pl.String),
        form_title=pl.when(pl.col("forms") > 1)
        .then(pl.format("{}等 {} 种", "form_title", "forms"))
        .otherwise("form_title"),
    )


def _ages_sql() -> str:
    """How long what is open has been so, by severity."""
    cases, rows = [], []
    for number, (title, upper) in enumerate(AGE_CLASSES):
        cases.append(f"WHEN age <= {upper} THEN {number}" if upper is not None else f"ELSE {number}")
        rows.append(f"({number}, '{title}')")
    return f"""
        WITH aged AS (
            SELECT severity, CASE {" ".join(cases)} END AS number FROM (
                SELECT severity, ({{night}} - first_seen) AS age FROM qc.finding_current
                WHERE {{mine}} AND state <> 'waived'))
        SELECT title AS age_class, {_LEVELS} FROM (VALUES {", ".join(rows)}) AS c(number, title)
        LEFT JOIN aged USING (number) GROUP BY number, title ORDER BY number"""


def _peers(ask: _Asker, place: Place, places: Mapping[str, Place]) -> pl.DataFrame:
    """Institutions to compare with: those of the same level; for the reader of all, every one."""
    score, scores = "q.mean_score", ""
    if ask.has("mart.score"):
        score = "s.score"
        scores = (
            "LEFT JOIN mart.score s ON s.institution_code = q.institution_code AND s.judging "
            "AND s.level = 'institution'"
        )
    frame = ask.con.execute(f"""
        SELECT q.institution_code, q.records, q.pass_rate, {score} AS score, q.findings, q.severe_findings AS severe,
               q.ordinary_findings AS ordinary, q.hint_findings AS hint, q.reopened_findings AS reopened, q.problems,
               1000.0 * q.findings / nullif(q.records, 0) AS per_thousand
        FROM mart.institution_quality q {scores} ORDER BY score DESC NULLS LAST, q.institution_code""").pl()
    names = {code: one.institution_name for code, one in places.items()}
    levels = {code: one.level for code, one in places.items()}
    code = pl.col("institution_code")
    frame = frame.with_columns(
        institution_name=code.replace_strict(names, default=code, return_dtype=pl.String),
        level=code.replace_strict(levels, default="", return_dtype=pl.String),
    )
    return frame if not place.institution_code else frame.filter(pl.col("level") == place.level)


def _indicators(ask: _Asker) -> pl.DataFrame:
    """The newest periods of the institution; of all institutions there is no one value."""
    title = "indicator_title" if ask.has("indicator.value", "indicator_title") else "indicator_id"
    target, meets = ("target", "meets") if ask.has("indicator.value", "target", "meets") else ("NULL", "NULL")
    return ask.frame(f"""
        SELECT indicator_id, {title} AS indicator_title, year, period, numerator, denominator, value, reported,
               {target} AS target, {meets} AS meets
        FROM indicator.value WHERE {{mine}} AND coalesce(value, reported) IS NOT NULL
        ORDER BY year DESC, period = 'Y' DESC, period DESC, indicator_id LIMIT {INDICATORS_SHOWN}""")


def _titled(further: dict[str, pl.DataFrame], cat: Catalogue) -> dict[str, pl.DataFrame]:
    """``rule_title`` where there is a rule, ``item_title`` where there is a report's item."""
    titles = {rule.rule_id: rule.title for rule in cat.rules}
    rule = pl.col("rule_id")
    return {
        name: frame.with_columns(rule_title=rule.replace_strict(titles, default=rule, return_dtype=pl.String))
        if "rule_id" in frame.columns
        else _with_item_title(frame, cat)
        if {"report_id", "item"} <= set(frame.columns)
        else frame
        for name, frame in further.items()
    }


def _with_form_title(frame: pl.DataFrame, cat: Catalogue) -> pl.DataFrame:
    form = pl.col("form_id")
    return frame.with_columns(
        form_title=form.replace_strict(form_titles(cat), default=form, return_dtype=pl.String).fill_null("")
    )


def _with_form_titles(frame: pl.DataFrame, cat: Catalogue) -> pl.DataFrame:
    """``form_titles`` of the lists in ``form_ids``."""
    title = pl.element().replace_strict(form_titles(cat), default=pl.element(), return_dtype=pl.String)
    return frame.with_columns(form_titles=pl.col("form_ids").cast(pl.List(pl.String)).list.eval(title))


def _with_item_title(frame: pl.DataFrame, cat: Catalogue, prefix: str = "") -> pl.DataFrame:
    """``item_title`` of the columns ``report_id`` (``basis_report``) and ``item`` (``basis_item``)."""
    titles = {f"{report}.{item}": title for (report, item), title in item_titles(cat).items()}
    return frame.with_columns(
        item_title=pl.concat_str(f"{prefix}report" if prefix else "report_id", pl.lit("."), f"{prefix}item")
        .replace_strict(titles, default=pl.col(f"{prefix}item"), return_dtype=pl.String)
        .fill_null("")
    )
