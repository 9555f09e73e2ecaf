"""Values and templates as the text of a finding: observed, expected, message, suggestion.

Belongs here: how a cell reads to a doctor (140.0 as 140, a code with its name, a multi-choice cell joined with 、), how
``{placeholders}`` of the catalogue's templates are filled, and that personal data is masked in all of it.
Does not belong here: the templates (``rules/``), how a mask looks (``masking``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from string import Formatter
from typing import Any

import polars as pl

from phqc_pipeline.catalogue import Catalogue, CodeList, Context, Field, Form, RuleCheck
from phqc_pipeline.catalogue.expressions import Expression, parse_expression, to_polars
from phqc_pipeline.checks.lake import NULL_REASON, RAW_SUFFIX
from phqc_pipeline.checks.masking import mask_personal, suspect

EMPTY = "未填"
_LONGEST_CODE_LIST = 12  # a longer list is named, not spelled out, in ``expected``

#: An expression over lake columns, or the same text for every record.
Part = pl.Expr | str | None
#: What a finding says: its parts one behind the other, NULL when one of them is.
Text = tuple[Part, ...]
NOTHING: Text = (None,)


@dataclass(frozen=True)
class Shown:
    """What is known of the cells that are shown: the lake columns that ``hold`` anything, and those with a text that is
    ``suspicious``: perhaps a number to be masked. None: all of them may be.
    """

    held: frozenset[str] | None = None
    suspicious: frozenset[str] | None = None

    def holds(self, name: str) -> bool:
        return self.held is None or name in self.held

    def is_suspicious(self, name: str) -> bool:
        return self.holds(name) and (self.suspicious is None or name in self.suspicious)


ANYTHING = Shown()


def columns_shown(cat: Catalogue, check: RuleCheck) -> frozenset[str]:
    """The lake columns that the texts of a check's findings may read."""
    rule, form = check.rule, cat.form(check.form_id)
    templates = [rule.message, rule.expected or "", (rule.suggestion.text or "") if rule.suggestion else ""]
    fields = {check.field, *(name for template in templates for _, name in _split(template) if name)}
    if check.suggestion is not None:
        fields |= check.suggestion.touches
    for name in fields & cat.derived.keys() - form.by_name.keys() - rule.params.keys():
        fields |= _derived(name, check, cat).touches
    names = [name for name in fields if form.has(name)]
    return frozenset([*names, *(name + RAW_SUFFIX for name in names), NULL_REASON])


def what_is_shown(form: Form, cells: pl.DataFrame) -> Shown:
    """What is known of gathered cells."""
    held = [column for column in cells.iter_columns() if column.null_count() < cells.height]
    free = {field.name for field in form.fields if field.kind == "text" and field.personal is None}
    texts = [column for column in held if column.name in free or column.name.endswith(RAW_SUFFIX)]
    suspicious = frozenset(column.name for column in texts if suspect(column).any())
    return Shown(frozenset(column.name for column in held), suspicious)


class Wording:
    """The texts of one check's findings, in parts."""

    def __init__(
        self,
        cat: Catalogue,
        check: RuleCheck,
        ctx: Context,
        missing_columns: frozenset[str] = frozenset(),
        shown: Shown = ANYTHING,
        made: dict[object, pl.Expr] | None = None,
    ) -> None:
        """``made`` keeps every expression, for several checks of one form and one ``shown``: equal parts are one."""
        self._made = {} if made is None else made
        self._cat = cat
        self._check = check
        self._ctx = ctx
        self._missing_columns = missing_columns
        self._shown = shown
        self._form = cat.form(check.form_id)
        self._field = self._form.by_name.get(check.field)

    def observed(self) -> Text:
        """What stands in the finding's field, as delivered; nothing for a check without a field."""
        return NOTHING if self._field is None else (self._cell(self._field),)

    def message(self) -> Text:
        return self._filled(self._check.rule.message)

    def expected(self) -> Text:
        """The rule's own template, else what the form dictionary allows in the field."""
        if self._check.rule.expected is not None:
            return self._filled(self._check.rule.expected)
        per_field = self._check.rule.per_field
        if per_field is None or self._field is None:
            return NOTHING
        return (_allowed(self._field, per_field.has, self._cat),)

    def suggestion(self) -> Text:
        suggestion = self._check.rule.suggestion
        if suggestion is None:
            return NOTHING
        if suggestion.expr is None:
            return self._filled(suggestion.text or "")
        assert self._check.suggestion is not None  # the catalogue compiles every suggestion expression
        return (self._computed(self._check.suggestion, _code_list(self._field, self._cat)),)

    def _filled(self, template: str) -> Text:
        """The template with every placeholder replaced; a value that is not there reads 未填."""
        parts: list[Part] = []
        text = ""  # what is the same for every record, up to the next part that is not
        for literal, name in _split(template):
            text += literal
            value = self._placeholder(name) if name else ""
            if isinstance(value, pl.Expr):
                parts += [text, value] if text else [value]
                text = ""
            elif name:
                text += value or EMPTY
        return (*parts, text) if text or not parts else tuple(parts)

    def _placeholder(self, name: str) -> Part:
        """What ``{name}`` stands for: a column, a parameter, a fact about the per-field column, anything derived."""
        if self._check.rule.per_field is not None and self._field is not None:
            if name == "value":
                return self._cell(self._field)
            fact = _FIELD_FACTS.get(name)
            if fact is not None:
                return fact(self._field, self._cat)
        if name in self._check.rule.params:
            return constant_text(self._check.rule.params[name])
        if self._form.has(name):
            return self._cell(self._form.field(name))
        if name in self._check.rule.optional_columns:
            return None  # a column this form does not have reads as empty
        derived = _derived(name, self._check, self._cat)
        return self._kept(("filled", derived.node), lambda: self._computed(derived, None).fill_null(EMPTY))

    def _cell(self, field: Field) -> pl.Expr:
        """The cell as it is shown, 未填 when it is empty."""
        return self._kept(field.name, lambda: cell_text(field, self._cat, self._shown).fill_null(EMPTY))

    def _computed(self, expression: Expression, codes: CodeList | None) -> pl.Expr:
        """A language expression's value as text; personal data it may pass on is masked."""
        return self._kept((codes and codes.list_id, expression.node), lambda: self._as_text(expression, codes))

    def _as_text(self, expression: Expression, codes: CodeList | None) -> pl.Expr:
        value = to_polars(expression, self._ctx, self._missing_columns)
        kind = _COMPUTED[expression.type]
        text = value_text(value, kind)
        if kind != pl.String:
            return text
        if codes is not None:
            return _labelled(text, codes)
        return mask_personal(text, _passed_on(value, self._form))

    def _kept(self, key: object, make: Callable[[], pl.Expr]) -> pl.Expr:
        found = self._made.get(key)
        if found is None:
            found = self._made[key] = make()
        return found


def _derived(name: str, check: RuleCheck, cat: Catalogue) -> Expression:
    """A derived name (or whatever else a template may name) as the check's own expressions would read it."""
    rule, form = check.rule, cat.form(check.form_id)
    field = form.by_name.get(check.field) if rule.per_field is not None else None
    return parse_expression(name, form, cat, rule.params, field=field, optional=rule.optional_columns, expect=None)


def cell_text(field: Field, cat: Catalogue, shown: Shown = ANYTHING) -> pl.Expr:
    """A cell as the doctor knows it: the delivered text where it is irregular, else the value; masked; NULL if empty.

    A word like 不详 that counts as empty (0a.20) is shown with that reading. What ``shown`` rules out is left out.
    """
    raw_name = field.name + RAW_SUFFIX
    raw, irregular = pl.col(raw_name), shown.holds(raw_name)
    if field.kind == "text":
        codes = _code_list(field, cat)
        text = _labelled(pl.col(field.name), codes)
        text = pl.coalesce(raw, text) if irregular else text
        harmless = not (codes or shown.is_suspicious(field.name) or shown.is_suspicious(raw_name))
        return text if harmless and field.personal is None else mask_personal(text, field.personal)
    text = _regular_text(field, cat)
    # Only delivered text can hold what does not belong in the column: a date, a number, a known code cannot.
    if irregular:
        harmless = field.personal is None and not shown.is_suspicious(raw_name)
        text = pl.coalesce(raw if harmless else mask_personal(raw, field.personal), text)
    if (field.is_numeric or field.is_date) and shown.holds(NULL_REASON):
        word = pl.col(NULL_REASON).str.json_path_match(f"$.{field.name}")
        text = pl.coalesce(text, pl.lit(EMPTY + "（") + word + pl.lit("）"))
    return text


def _regular_text(field: Field, cat: Catalogue) -> pl.Expr:
    """A converted cell of any kind but text."""
    value, codes = pl.col(field.name), _code_list(field, cat)
    if field.kind == "multi":
        return (value.list.eval(_labelled(pl.element(), codes)) if codes else value).list.join("、")
    if field.kind == "code":
        return _labelled(value, codes)
    return value.dt.to_string("%Y-%m") if field.kind == "ym" else value_text(value, _DTYPES[field.kind])


def value_text(value: pl.Expr, kind: pl.DataType | type[pl.DataType]) -> pl.Expr:
    """A computed value as text: whole numbers without a point, dates ISO, truth 是/否, lists joined with 、."""
    if kind.is_float():
        # + 0.0 turns -0.0 into 0.0; six places as in every comparison
        return (value.round(6) + 0.0).cast(pl.String).str.strip_suffix(".0")
    if kind == pl.Date:
        return value.dt.to_string("%Y-%m-%d")
    if kind == pl.Datetime:
        return value.dt.to_string("%Y-%m-%d %H:%M:%S").str.strip_suffix(":00")
    if kind == pl.Boolean:
        return pl.when(value).then(pl.lit("是")).when(~value).then(pl.lit("否"))
    if kind == pl.List:
        return value.list.join("、")
    return value.cast(pl.String)


def constant_text(value: Any) -> str:
    """A parameter or bound as text, by the same rules as ``value_text``."""
    if value is None:
        return EMPTY
    if isinstance(value, bool):
        return "是" if value else "否"
    if isinstance(value, float):
        return repr(round(value, 6) + 0.0).removesuffix(".0")
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, list | tuple):
        return "、".join(constant_text(item) for item in value)
    return str(value)


#: What a computed value is in Polars, by its type in the language.
_COMPUTED: Mapping[str, type[pl.DataType]] = {
    "bool": pl.Boolean,
    "int": pl.Float64,
    "num": pl.Float64,
    "text": pl.String,
    "date": pl.Date,
    "ts": pl.Datetime,
    "list": pl.List,
    "null": pl.Null,
}
_DTYPES: Mapping[str, type[pl.DataType]] = {"int": pl.Float64, "dec": pl.Float64, "date": pl.Date, "dt": pl.Datetime}


def _split(template: str) -> Iterator[tuple[str, str]]:
    for literal, name, _, _ in Formatter().parse(template):
        yield literal, (name or "").strip()


def _labelled(code: pl.Expr, codes: CodeList | None) -> pl.Expr:
    """``1`` → ``1 男性``; what is not on the list stays as it is."""
    if codes is None:
        return code
    labels = {entry.code: f"{entry.code} {entry.name}" for entry in codes.codes if entry.name != entry.code}
    if not labels:
        return code
    return code.replace(list(labels), list(labels.values()))


def _passed_on(value: pl.Expr, form: Form) -> str | None:
    """The kind of personal data a computed text may still hold: that of a name, telephone or address it reads.

    What is computed from an identity number is a part of it (a birth date, a sex) or a whole number, and whole numbers
    are masked in any text.
    """
    for root in value.meta.root_names():
        field = form.by_name.get(root.removesuffix(RAW_SUFFIX))
        if field is not None and field.personal not in (None, "id_number"):
            return field.personal
    return None


def _allowed(field: Field, has: str | None, cat: Catalogue) -> str | None:
    """What the form dictionary allows in the field, for the property a per-field rule asks for."""
    if has == "hard" and field.hard is not None:
        return _range_text(field.hard, field.unit)
    if has == "soft" and field.soft is not None:
        return _range_text(field.soft, field.unit)
    if has == "codes":
        return _codes_text(field, cat)
    if has == "scale" and field.scale is not None:
        return f"至多 {field.scale} 位小数"
    return None


def _range_text(bounds: tuple[float | None, float | None], unit: str) -> str:
    low, high = bounds
    unit = f" {unit}" if unit else ""
    if low is None:
        return f"≤{constant_text(high)}{unit}"
    return f"≥{constant_text(low)}{unit}" if high is None else f"{constant_text(low)}～{constant_text(high)}{unit}"


def _codes_text(field: Field, cat: Catalogue) -> str | None:
    codes = _code_list(field, cat)
    if codes is None:
        return None
    dated = "（须在服务日期适用）" if field.dated_codes else ""
    if len(codes.codes) > _LONGEST_CODE_LIST:
        return f"{codes.title}中的代码{dated}"
    return "、".join(f"{entry.code} {entry.name}" for entry in codes.codes) + dated


def _code_list(field: Field | None, cat: Catalogue) -> CodeList | None:
    return cat.codes.get(field.codes) if field is not None and field.codes else None


def _bound(side: int, attribute: str) -> Callable[[Field, Catalogue], str]:
    def text(field: Field, _: Catalogue) -> str:
        bounds = getattr(field, attribute)
        return constant_text(bounds[side]) if bounds is not None and bounds[side] is not None else "不限"

    return text


#: What a per-field rule's template may name about the column at hand.
_FIELD_FACTS: Mapping[str, Callable[[Field, Catalogue], str | None]] = {
    "field": lambda field, _: field.name,
    "title": lambda field, _: field.title,
    "unit": lambda field, _: field.unit,
    "scale": lambda field, _: constant_text(field.scale),
    "hard_min": _bound(0, "hard"),
    "hard_max": _bound(1, "hard"),
    "soft_min": _bound(0, "soft"),
    "soft_max": _bound(1, "soft"),
    "codes": _codes_text,
    "exclusive_codes": lambda field, _: "、".join(field.exclusive),
    "other_code": lambda field, _: field.other_of.code if field.other_of is not None else "",
}
