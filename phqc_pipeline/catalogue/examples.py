"""Every rule's examples, judged in both engines.

Belongs here: turning an example into a record as the lake would hold it, judging it in Polars and in DuckDB, and saying
in Chinese which examples do not come out as the rule's author says.
Does not belong here: whether a rule has examples at all (the loader), reading delivered files (``extracts``).

An example names only what matters: columns not given are empty. Values are written as a clerk would deliver them, so a
cell can be unusable too: a word in a numeric column, a date that does not exist, a code off the list. Derived names
(``age``) and context values (``today``) may be given directly and then win over what they stand for.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import duckdb
import polars as pl

from phqc_pipeline.catalogue.expressions import DuckDBRenderer, ExpressionError, PolarsRenderer, parse_expression
from phqc_pipeline.catalogue.expressions.cells import RAW_SUFFIX
from phqc_pipeline.catalogue.expressions.nodes import CONTEXT_NAMES
from phqc_pipeline.catalogue.expressions.types import COLUMN_TYPES, Vocabulary
from phqc_pipeline.catalogue.faults import closest
from phqc_pipeline.catalogue.model import Catalogue, Context, Example, Field, Form, Place, Rule, RuleCheck
from phqc_pipeline.catalogue.repairing import mended_text

EXAMPLE_CONTEXT = Context.natural_year(date(2024, 12, 31))  # unless an example gives today or the period itself

_DTYPES: Mapping[str, Any] = {
    "bool": pl.Boolean(),
    "int": pl.Float64(),
    "num": pl.Float64(),
    "text": pl.String(),
    "date": pl.Date(),
    "ts": pl.Datetime("us"),
    "list": pl.List(pl.String()),
}
_EMPTY_WORDS = frozenset({"", "-", "/", "—"})  # ruling 0a.20
_NOT_ANSWERED = frozenset({"无", "不详", "未查", "拒查", "拒绝"})  # in numeric and date columns: not filled in
_SEPARATORS = re.compile(r"[,，;；|、]")
# 2024-01-31, 2024/1/31, 2024.1.31, 20240131, 2024年1月31日, with or without a time; year and month alone where allowed.
_MOMENT = re.compile(
    r"(?P<year>\d{4})[-/.年]?(?P<month>(?<=\d)\d{2}|(?<=\D)\d{1,2})(?:[-/.月]?(?P<day>(?<=\d)\d{2}|(?<=\D)\d{1,2}))?[日月]?"
    r"(?:[ T](?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2}))?)?"
)
_MOMENT_PARTS = (("year", 0), ("month", 0), ("day", 1), ("hour", 0), ("minute", 0), ("second", 0))
_BLANKS = " \t\r\n\u3000\u00a0"
_SQL_CHECKS_AT_ONCE = 40  # DuckDB plans a few statements of this size faster than one of hundreds of columns


@dataclass(frozen=True)
class ExampleFailure:
    """One example that does not come out as written. ``kind`` is ``pass`` or ``fail``; all texts Chinese."""

    rule_id: str
    version: int
    form_id: str
    field: str
    kind: str
    example: Mapping[str, Any]
    place: Place
    problem: str
    engines_differ: bool = False

    @property
    def example_key(self) -> tuple[str, int, int, str, str]:
        """Which example of which rule, whatever is said of it."""
        return (self.rule_id, self.version, id(self.example), self.form_id, self.kind)

    def __str__(self) -> str:
        place = f"{self.place.file}:{self.place.line}  " if self.place.file else ""
        where = "/".join(part for part in (self.form_id, self.field) if part)
        title = {"pass": "应通过的示例", "fail": "应不通过的示例"}[self.kind]
        written = ", ".join(f"{name}: {value}" for name, value in self.example.items())
        return f"{place}规则 {self.rule_id}（{where}）{title} {{{written}}}：{self.problem}"


def run_examples(cat: Catalogue, rule_ids: Iterable[str] | None = None) -> list[ExampleFailure]:
    """Judge the examples of all pandera rules (or of ``rule_ids``) in both engines; what does not come out as written.

    Also a failure: a rule with a ``when`` of whose passing examples none is applicable, since they would pass anyway.
    """
    wanted = None if rule_ids is None else frozenset(rule_ids)
    rules = [rule for rule in cat.rules if rule.carrier == "pandera" and (wanted is None or rule.rule_id in wanted)]
    bench = Bench(cat)
    for rule in rules:
        bench.add(rule)
    bench.judge()
    return bench.failures


def lake_frame(form: Form, vocabulary: Vocabulary, records: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    """Records as the lake holds them: each field of the form and its ``__raw``, a row a record.

    Values are converted as on delivery (numbers and dates from text, codes from names); what cannot be converted is
    NULL with its text in ``__raw``. ``x__raw`` may be given itself.
    """
    columns: dict[str, pl.Series] = {}
    for field in form.fields:
        raw_name = field.name + RAW_SUFFIX
        cells = [_cell(record.get(field.name), field, vocabulary) for record in records]
        raws = [
            str(record[raw_name]) if raw_name in record else cell[1]
            for record, cell in zip(records, cells, strict=True)
        ]
        columns[field.name] = pl.Series([value for value, _ in cells], dtype=_DTYPES[COLUMN_TYPES[field.kind]])
        columns[raw_name] = pl.Series(raws, dtype=pl.String)
    return pl.DataFrame(columns)


@dataclass(frozen=True, eq=False)
class Case:
    """One example on one form: its row there, and the checks that judge it."""

    rule: Rule
    kind: str
    example: Example
    form_id: str
    row: int
    checks: tuple[RuleCheck, ...]


@dataclass(frozen=True)
class _Verdict:
    """What one engine says of one check on one row: ``when`` and ``violated`` as they are, NULL included."""

    when: bool | None
    violated: bool | None

    @property
    def is_violation(self) -> bool:
        return self.when is True and self.violated is True

    def __str__(self) -> str:
        words = {True: "成立", False: "不成立", None: "NULL"}
        return f"前提{words[self.when]}、违规条件{words[self.violated]}"


class Bench:
    """All examples, laid out form by form and judged at once."""

    def __init__(self, cat: Catalogue) -> None:
        self.cat = cat
        self.failures: list[ExampleFailure] = []
        self.cases: list[Case] = []
        self._records: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
        self._types: dict[str, dict[str, str]] = {}
        self._checks: dict[tuple[str, int], list[RuleCheck]] = defaultdict(list)
        for form_id in cat.forms:
            for check in cat.checks(form_id):
                self._checks[check.rule.key].append(check)

    def add(self, rule: Rule) -> None:
        """Lay out the examples of one rule on every form that has the columns they name."""
        for kind, examples in (("pass", rule.pass_examples), ("fail", rule.fail_examples)):
            for example in examples:
                placed = [case for form_id in rule.form_ids if (case := self._place(rule, kind, example, form_id))]
                if placed:
                    self.cases.extend(placed)
                else:
                    self._fail(rule, ",".join(rule.form_ids), "", kind, example, self._why_nowhere(rule, example))

    def judge(self) -> None:
        """Evaluate everything form by form and note what does not come out as written."""
        by_form: dict[str, list[Case]] = defaultdict(list)
        for case in self.cases:
            by_form[case.form_id].append(case)
        verdicts: _Verdicts = {}
        for form_id, cases in by_form.items():
            checks = list({id(check): check for case in cases for check in case.checks}.values())
            frame, given = self.frame(form_id)
            found = _polars_verdicts(frame, checks, given)
            self._compare_engines(cases, found, _duckdb_verdicts(frame, checks, given))
            verdicts |= found
        self._compare_with_written(verdicts)
        self._check_applicable(verdicts)

    # --- laying out --------------------------------------------------------------------------------------------

    def _place(self, rule: Rule, kind: str, example: Example, form_id: str) -> Case | None:
        form = self.cat.form(form_id)
        values = dict(example.values)
        if "form" in values and not form.has("form") and values.pop("form") != form_id:
            return None
        checks = self._checks_for(rule, form, values)
        if not checks or not all(self._is_known(name, form) for name in values):
            return None
        records = self._records[form_id]
        records.append(values)
        return Case(rule, kind, example, form_id, len(records) - 1, checks)

    def _checks_for(self, rule: Rule, form: Form, values: dict[str, Any]) -> tuple[RuleCheck, ...]:
        """The checks an example is about. Of a per-field rule: that of ``field``, else of the fields named, else all.

        ``value`` stands for the cell of the field: the one named by ``field``, else the first.
        """
        checks = [check for check in self._checks[rule.key] if check.form_id == form.form_id]
        if rule.per_field is None:
            return tuple(checks)
        if "field" in values and not form.has("field"):
            wanted = values.pop("field")
            checks = [check for check in checks if check.field == wanted]
        elif named := [check for check in checks if check.field in values or check.field + RAW_SUFFIX in values]:
            checks = named
        if "value" in values and not form.has("value") and checks:
            checks = checks[:1]
            values[checks[0].field] = values.pop("value")
        return tuple(checks)

    def _is_known(self, name: str, form: Form) -> bool:
        return form.has(name.removesuffix(RAW_SUFFIX)) or name in CONTEXT_NAMES or self._type_of(name, form) is not None

    def _type_of(self, name: str, form: Form) -> str | None:
        """The type of a derived name on this form; None if it does not exist there."""
        known = self._types.setdefault(form.form_id, {})
        if name not in known and name in self.cat.derived:
            try:
                known[name] = parse_expression(name, form, self.cat, expect=None).type
            except ExpressionError:
                return None
        return known.get(name)

    def _why_nowhere(self, rule: Rule, example: Example) -> str:
        forms = [self.cat.form(form_id) for form_id in rule.form_ids]
        known = {name for form in forms for name in form.by_name} | {*self.cat.derived, *CONTEXT_NAMES}
        per_field = {"form", "field", "value"} if rule.per_field else {"form"}
        strange = [name for name in example.values if name.removesuffix(RAW_SUFFIX) not in known | per_field]
        if strange:
            near = closest(strange[0], known)
            return f"示例里的 {strange[0]} 不是字段、派生名或 today 之类{f'，是否应为 {near}' if near else ''}"
        return "没有一张适用的表单同时有示例里的这些字段；用 form: 指明表单，按字段展开的规则用 field: 指明字段"

    def frame(self, form_id: str) -> tuple[pl.DataFrame, frozenset[str]]:
        """The form's example records with the columns of names given directly (see ``PolarsRenderer``)."""
        form, records = self.cat.form(form_id), [_with_period(record) for record in self._records[form_id]]
        frame = lake_frame(form, self.cat, records)
        given = {name for record in records for name in record if not form.has(name.removesuffix(RAW_SUFFIX))}
        columns = []
        for name in sorted(given):
            kind = "date" if name in CONTEXT_NAMES else str(self._type_of(name, form))
            values = [_given(record[name], kind) if name in record else None for record in records]
            columns.append(pl.Series(f"_given_{name}", values, dtype=_DTYPES[kind]))
            columns.append(pl.Series(f"_has_{name}", [name in record for record in records]))
        return frame.with_columns(columns), frozenset(given)

    # --- judging -----------------------------------------------------------------------------------------------

    def _compare_engines(self, cases: list[Case], polars: _Verdicts, sql: _Verdicts) -> None:
        for case in cases:
            for check in case.checks:
                ours, theirs = _verdict(polars, check, case), _verdict(sql, check, case)
                if ours != theirs:
                    problem = f"两种引擎判得不一样：Polars {ours}；DuckDB {theirs}"
                    self._fail(case.rule, case.form_id, check.field, case.kind, case.example, problem, True)

    def _compare_with_written(self, verdicts: _Verdicts) -> None:
        """A passing example violates nothing on any form, a failing one on at least one: the forms' codes differ."""
        by_example: dict[int, list[Case]] = defaultdict(list)
        for case in self.cases:
            by_example[id(case.example)].append(case)
        for cases in by_example.values():
            judged = [(case, check, _verdict(verdicts, check, case)) for case in cases for check in case.checks]
            violated = [one for one in judged if one[2].is_violation]
            case, check, verdict = violated[0] if violated else judged[0]
            if case.kind == "pass" and violated:
                self._fail(case.rule, case.form_id, check.field, "pass", case.example, f"却判为违规（{verdict}）")
            if case.kind == "fail" and not violated:
                self._fail(case.rule, case.form_id, check.field, "fail", case.example, f"却没有判为违规（{verdict}）")

    def _check_applicable(self, verdicts: _Verdicts) -> None:
        """Passing examples that all lie outside ``when`` show nothing of the judgement."""
        passing: dict[tuple[str, int], list[Case]] = defaultdict(list)
        for case in self.cases:
            if case.kind == "pass" and case.rule.when is not None:
                passing[case.rule.key].append(case)
        for same in passing.values():
            if not any(_verdict(verdicts, check, case).when for case in same for check in case.checks):
                problem = "应通过的示例没有一条满足前提 when，说明不了判断本身；加一条满足前提而通过的"
                self._fail(same[0].rule, same[0].form_id, "", "pass", same[0].example, problem)

    def _fail(
        self,
        rule: Rule,
        form_id: str,
        field: str,
        kind: str,
        example: Example,
        problem: str,
        engines_differ: bool = False,
    ) -> None:
        failure = ExampleFailure(
            rule.rule_id, rule.version, form_id, field, kind, example.values, example.place, problem, engines_differ
        )
        self.failures.append(failure)


# By check (its identity): ``when`` and ``violated`` of every row of its form's examples.
_Verdicts = dict[int, tuple[list[bool | None], list[bool | None]]]


def _verdict(verdicts: _Verdicts, check: RuleCheck, case: Case) -> _Verdict:
    when, violated = verdicts[id(check)]
    return _Verdict(when[case.row], violated[case.row])


def _polars_verdicts(frame: pl.DataFrame, checks: list[RuleCheck], given: frozenset[str]) -> _Verdicts:
    renderer = PolarsRenderer(EXAMPLE_CONTEXT, given=given)
    flags = []
    for position, check in enumerate(checks):
        when = pl.lit(True) if check.when is None else renderer.render(check.when.node)
        flags += [when.alias(f"w{position}"), renderer.render(check.violated.node).alias(f"v{position}")]
    # The row number keeps the height where every flag is a constant.
    found = frame.lazy().with_row_index("_row").select("_row", *flags).collect()
    return _collected(checks, {name: found[name].to_list() for name in found.columns})


def _duckdb_verdicts(frame: pl.DataFrame, checks: list[RuleCheck], given: frozenset[str]) -> _Verdicts:
    renderer = DuckDBRenderer(EXAMPLE_CONTEXT, given=given)
    found: dict[str, list[Any]] = {}
    with duckdb.connect() as connection:
        connection.execute("SET threads = 1")
        connection.register("examples_arrow", frame.with_row_index("_row").to_arrow())
        connection.execute("CREATE TABLE examples AS FROM examples_arrow")
        for start in range(0, len(checks), _SQL_CHECKS_AT_ONCE):
            flags = []
            for position, check in enumerate(checks[start : start + _SQL_CHECKS_AT_ONCE], start):
                when = "TRUE" if check.when is None else renderer.render(check.when.node)
                flags.append(f"{when} AS w{position}, {renderer.render(check.violated.node)} AS v{position}")
            table = connection.execute(f"SELECT {', '.join(flags)} FROM examples ORDER BY _row").to_arrow_table()
            found |= {name: table.column(name).to_pylist() for name in table.column_names}
    return _collected(checks, found)


def _collected(checks: list[RuleCheck], found: Mapping[str, list[Any]]) -> _Verdicts:
    return {id(check): (found[f"w{position}"], found[f"v{position}"]) for position, check in enumerate(checks)}


def _with_period(record: Mapping[str, Any]) -> Mapping[str, Any]:
    """A record that gives ``today`` without the period is judged for that day's natural year."""
    if "today" not in record or "period_start" in record or "period_end" in record:
        return record
    year = _given(record["today"], "date").year
    return {**record, "period_start": date(year, 1, 1), "period_end": date(year, 12, 31)}


def _given(value: Any, kind: str) -> Any:
    """A value given for a derived name or context value, in that name's type."""
    if value is None:
        return None
    if kind in ("int", "num"):
        return float(value)
    if kind == "date" and not isinstance(value, date):
        return date.fromisoformat(str(value))
    if kind == "ts" and not isinstance(value, datetime):
        return datetime.fromisoformat(str(value))
    if kind == "list":
        return [str(code) for code in value]
    return value if kind in ("bool", "date", "ts") else str(value)


def _cell(value: Any, field: Field, vocabulary: Vocabulary) -> tuple[Any, str | None]:
    """(typed value, raw text or None) of one cell, as the conversion on delivery would leave it."""
    typed, raw = _cell_as_written(value, field, vocabulary)
    repairs = getattr(vocabulary, "repairs", None)
    if repairs is None or not isinstance(value, str | int | float) or (typed is None and raw is None):
        return typed, raw
    text = _as_text(value)
    rewritten = mended_text(text, typed, field, vocabulary.codes, repairs)
    again = None if rewritten is None else _cell_as_written(rewritten, field, vocabulary)[0]
    return (typed, raw) if again is None else (again, text)


def _cell_as_written(value: Any, field: Field, vocabulary: Vocabulary) -> tuple[Any, str | None]:
    if value is None or _means_empty(value, field, vocabulary):
        return None, None
    if field.kind == "multi":
        return _multi_cell(value, field, vocabulary)
    text = _as_text(value)
    trimmed = text.strip(_BLANKS)
    if field.kind in ("text", "code"):
        spellings = _spellings(field, vocabulary)
        if field.kind == "code" and spellings and trimmed not in spellings:
            return None, text
        return spellings.get(trimmed, trimmed), None if trimmed == text else text
    typed = _number(trimmed) if field.is_numeric else _moment(trimmed, field)
    if typed is None:
        return None, text
    return typed, text if field.is_numeric and _too_precise(trimmed, field) else None


def _spellings(field: Field, vocabulary: Vocabulary) -> Mapping[str, str]:
    code_list = vocabulary.codes.get(field.codes) if field.codes else None
    return code_list.spellings if code_list else {}


def _means_empty(value: Any, field: Field, vocabulary: Vocabulary) -> bool:
    if not isinstance(value, str):
        return value == []
    word = value.strip(_BLANKS)
    if word in _spellings(field, vocabulary) or word in field.text_values:
        return False
    return word in _EMPTY_WORDS or ((field.is_numeric or field.is_date) and word in _NOT_ANSWERED)


def _multi_cell(value: Any, field: Field, vocabulary: Vocabulary) -> tuple[Any, str | None]:
    parts = list(value) if isinstance(value, (list, tuple)) else _SEPARATORS.split(_as_text(value))
    words = [word for part in parts if (word := _as_text(part).strip(_BLANKS))]
    spellings = _spellings(field, vocabulary) or {word: word for word in words}
    if any(word not in spellings for word in words):
        return None, ",".join(words)
    return list(dict.fromkeys(spellings[word] for word in words)), None


def _as_text(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return value.isoformat(" ") if isinstance(value, datetime) else str(value)


def _number(text: str) -> float | None:
    return float(text) if re.fullmatch(r"[+-]?\d+(\.\d+)?", text) else None


def _moment(text: str, field: Field) -> date | datetime | None:
    found = _MOMENT.fullmatch(text)
    if found is None or (found["day"] is None and field.kind != "ym"):
        return None
    year, month, day, hour, minute, second = (int(found[part] or default) for part, default in _MOMENT_PARTS)
    try:
        moment = datetime(year, month, day, hour, minute, second)  # noqa: DTZ001 - the lake's times have no zone
    except ValueError:
        return None
    return moment if field.kind == "dt" else moment.date()


def _too_precise(text: str, field: Field) -> bool:
    """Whether the delivered number has more decimals than the field allows, trailing zeros aside (COM-F-020)."""
    decimals = len(text.partition(".")[2].rstrip("0"))
    return decimals > (0 if field.kind == "int" else field.scale or 0)
