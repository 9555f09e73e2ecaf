"""Rules brought to the forms: expressions compiled, generic and per-field rules instantiated as ``RuleCheck``.

Belongs here: which form and field a rule reaches, and every fault that needs an expression to be found: conditions of
``required``, derived names, placeholders, suggestions. Does not belong here: the language itself (``expressions``).
"""

from __future__ import annotations

import string
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from phqc_pipeline.catalogue.expressions.cells import RAW_SUFFIX
from phqc_pipeline.catalogue.expressions.nodes import CONTEXT_NAMES
from phqc_pipeline.catalogue.expressions.parse import Expression, names_used, negated, parse_expression
from phqc_pipeline.catalogue.expressions.syntax import ExpressionError
from phqc_pipeline.catalogue.faults import did_you_mean
from phqc_pipeline.catalogue.fingerprint import rule_fingerprint
from phqc_pipeline.catalogue.model import (
    PER_FIELD_NAMES,
    Catalogue,
    Field,
    Form,
    PerField,
    Rule,
    RuleCheck,
)
from phqc_pipeline.catalogue.reading import Reader
from phqc_pipeline.catalogue.ruleset import Written, is_generic, scope_of

# What a message may name beside columns, parameters and derived names.
FIELD_PLACEHOLDERS = ("value", "title", "field", "unit", "codes")
DBT_PLACEHOLDERS = ("observed", "expected", "period", "field", "service_date", "archive_no", "record_id", "doctor_name")


def compile_conditions(reader: Reader, catalogue: Catalogue) -> dict[str, Form]:
    """The forms again, each conditionally required field with the columns its condition reads (``condition_reads``)."""
    _check_derived(reader, catalogue)
    return {form_id: _with_conditions(reader, form, catalogue) for form_id, form in catalogue.forms.items()}


def instantiate(
    reader: Reader, written: Iterable[Written], catalogue: Catalogue
) -> tuple[list[Rule], dict[str, tuple[RuleCheck, ...]]]:
    """Every rule with its final ``form_ids`` and fingerprint; every form's checks, record rules before per-field."""
    bench = _Bench(reader, catalogue)
    rules: list[Rule] = []
    waiting: list[tuple[int, Written]] = []
    for one in written:
        # A rule on required fields comes last: it covers what no other rule tests for emptiness (0a.7).
        if one.rule.per_field and one.rule.per_field.has == "required":
            waiting.append((len(rules), one))
            rules.append(one.rule)
        else:
            rules.append(bench.place(one))
    for position, one in waiting:
        rules[position] = bench.place(one)
    order = {rule.key: position for position, rule in enumerate(rules)}
    checks = {
        form_id: tuple(sorted(found, key=lambda check: (check.rule.per_field is not None, order[check.rule.key])))
        for form_id, found in bench.checks.items()
    }
    return rules, checks


#: The types of the language that a cell of each kind takes.
_HELD_BY: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("int", "dec"), ("int", "num")),
    **dict.fromkeys(("date", "ym"), ("date",)),
    "dt": ("date", "ts"),
    **dict.fromkeys(("text", "code"), ("text",)),
    "multi": ("list", "text"),
}


class _Bench:
    """Where rules are brought to forms one after another; ``checks`` and ``tested`` grow as it goes."""

    def __init__(self, reader: Reader, catalogue: Catalogue) -> None:
        self.reader = reader
        self.catalogue = catalogue
        self.checks: dict[str, list[RuleCheck]] = {form_id: [] for form_id in catalogue.forms}
        self.tested: dict[str, set[str]] = defaultdict(set)
        self.columns = frozenset(name for form in catalogue.forms.values() for name in form.by_name)

    def place(self, one: Written) -> Rule:
        """Instantiate one rule wherever it belongs; its final form."""
        rule = replace(one.rule, fingerprint=rule_fingerprint(one.rule, self.catalogue.derived))
        if rule.carrier == "dbt":
            return self._place_dbt(one, rule)
        forms = self._forms(one, rule)
        if rule.per_field and forms:
            forms = [form for form in forms if self._fields_for(rule.per_field, form)]
            if not forms and self.reader.forms_are_sound():
                remedy = "放宽 per_field 的条件，或给字段写上相应的范围、代码表等；不需要的规则删去"
                self._fault(one, "per_field", "没有一个字段符合展开条件", remedy)
        rule = replace(rule, form_ids=tuple(form.form_id for form in forms))
        self._check_examples(one, rule, forms)
        for form in forms:
            made = self._checks_on(one, rule, form)
            if made is None:
                break  # the same fault would be found again on every further form
            self.checks[form.form_id].extend(made)
            for check in made:
                self.tested[form.form_id] |= check.empties
        return rule

    def _check_examples(self, one: Written, rule: Rule, forms: Iterable[Form]) -> None:
        """Whether there is a form that has what the examples name."""
        known = {name for form in forms for name in form.by_name}
        if not known or (is_generic(rule) and not self.reader.forms_are_sound()):
            return
        known |= {*self.catalogue.derived, *CONTEXT_NAMES, "form"} | ({"field", "value"} if rule.per_field else set())
        for kind, examples in (("pass", rule.pass_examples), ("fail", rule.fail_examples)):
            for index, example in enumerate(examples):
                for name in example.values:
                    if name.removesuffix(RAW_SUFFIX) not in known and name not in self.reader.broken:
                        known.add(name)  # told once
                        remedy = did_you_mean(name, known - {name}, "写该表单的字段名、派生名或 today 之类")
                        path = (*one.path, "examples", kind, index)
                        self.reader.fault(one.document, path, one.where, f"样例里的 {name} 不是已知的字段", remedy)

    def _place_dbt(self, one: Written, rule: Rule) -> Rule:
        """A rule of dbt's goes to the forms of its scope, or to the report it is at home on."""
        forms = scope_of(rule, self.catalogue.forms)
        for form in forms:
            self.tested[form.form_id].update(rule.checks_empty)
        self._check_placeholders(one, rule, "message", rule.message, [*rule.params, *DBT_PLACEHOLDERS])
        if rule.suggestion and rule.suggestion.text:
            self._check_placeholders(one, rule, "suggestion", rule.suggestion.text, [])
        return replace(rule, form_ids=tuple(form.form_id for form in forms) if forms else rule.form_ids)

    def _forms(self, one: Written, rule: Rule) -> list[Form]:
        """The forms of the scope that have every column the rule reads; for named forms, simply all of them."""
        chosen = scope_of(rule, self.catalogue.forms)
        names = self._names(one, rule)
        if names is None:
            return []
        for name in sorted((rule.optional_columns | names) - self.columns):
            if is_generic(rule) and name not in self.reader.broken:
                known = [*self.columns, *rule.params, *CONTEXT_NAMES, *self.catalogue.derived]
                remedy = did_you_mean(name, known, "用 forms/ 里的英文列名、派生名或本规则的 params")
                self._fault(one, self._key_of(rule, name), f"没有一张表单有字段 {name}，也没有这个派生名或参数", remedy)
        if not is_generic(rule):
            return chosen
        needed = names - rule.optional_columns
        found = [form for form in chosen if needed <= form.by_name.keys()]
        if not found and needed <= self.columns and self.reader.forms_are_sound():
            listed = "、".join(sorted(needed))
            self._fault(one, "id", f"没有一张表单同时有它读的字段：{listed}", "改表达式或 forms，或删去这条规则")
        return found

    def _names(self, one: Written, rule: Rule) -> frozenset[str] | None:
        """Columns the expressions name; None when one cannot be read at all (its faults are noted)."""
        found: set[str] = set()
        sound = True
        for key, text in (("when", rule.when), ("assert", rule.assertion), ("violated", rule.violated)):
            if text:
                try:
                    found |= names_used(text, self.catalogue, rule.params)
                except ExpressionError as error:
                    sound = False
                    self._expression_faults(one, key, error)
        return frozenset(found) if sound else None

    def _checks_on(self, one: Written, rule: Rule, form: Form) -> list[RuleCheck] | None:
        """The rule's checks on one form; None after a fault."""
        before = len(self.reader.faults)
        if rule.per_field is None:
            if rule.field and not form.has(rule.field) and rule.field not in self.reader.broken:
                remedy = did_you_mean(rule.field, form.by_name, "写问题要改的那个字段")
                self._fault(one, "field", f"表单 {form.form_id} 没有字段 {rule.field}", remedy)
            check = self._check(one, rule, form, None)
            made = [check] if check else []
        else:
            made = []
            for column in self._fields_for(rule.per_field, form):
                check = self._check(one, rule, form, column)
                if check is None:
                    return None
                made.append(check)
        self._check_texts(one, rule, form)
        return made if len(self.reader.faults) == before else None

    def _fields_for(self, wanted: PerField, form: Form) -> list[Field]:
        return [column for column in form.fields if self._reaches(wanted, form, column)]

    def _reaches(self, wanted: PerField, form: Form, column: Field) -> bool:
        if wanted.types and column.kind not in wanted.types:
            return False
        if wanted.role and column.role != wanted.role:
            return False
        if column.role in wanted.exclude_roles or column.name in wanted.exclude_fields:
            return False
        if wanted.has == "required":
            return column.required != "never" and column.name not in self.tested[form.form_id]
        if wanted.has == "scale":
            return column.scale is not None
        return wanted.has is None or bool(getattr(column, wanted.has))

    def _check(self, one: Written, rule: Rule, form: Form, column: Field | None) -> RuleCheck | None:
        when = self._compile(one, rule, form, column, "when", rule.when)
        key = "violated" if rule.violated else "assert"
        judged = self._compile(one, rule, form, column, key, rule.violated or rule.assertion)
        computed = rule.suggestion.expr if rule.suggestion else None
        suggestion = self._compile(one, rule, form, column, "suggestion", computed, any_type=True)
        if judged is None or (rule.when and when is None) or (computed and suggestion is None):
            return None
        if rule.suggestion and rule.suggestion.certain and suggestion:
            self._check_certain(one, form, column or form.by_name.get(rule.field), suggestion)
        violated = judged if rule.violated else negated(judged)
        reads = violated.reads | (when.reads if when else frozenset())
        optional = frozenset(
            name
            for name in reads
            if form.field(name).required == "never" or (form.field(name).absent_ok and name not in violated.empties)
        )
        return RuleCheck(
            rule=rule,
            form_id=form.form_id,
            field=column.name if column else rule.field,
            when=when,
            violated=violated,
            reads=reads,
            optional=optional,
            empties=violated.empties,
            suggestion=suggestion,
        )

    def _check_certain(self, one: Written, form: Form, column: Field | None, suggestion: Expression) -> None:
        """What is put into a cell of itself must be what the cell holds."""
        if column is not None and suggestion.type not in _HELD_BY[column.kind]:
            problem = f"certain 的建议算得的值放不进表单 {form.form_id} 的 {column.name}（{column.type}）"
            self._fault(one, "suggestion", problem, "改表达式使类型与字段一致，或去掉 certain")

    def _compile(
        self,
        one: Written,
        rule: Rule,
        form: Form,
        column: Field | None,
        key: str,
        text: str | None,
        any_type: bool = False,
    ) -> Expression | None:
        if not text:
            return None
        try:
            return parse_expression(
                text,
                form,
                self.catalogue,
                rule.params,
                field=column,
                optional=rule.optional_columns,
                expect=None if any_type else "bool",
            )
        except ExpressionError as error:
            self._expression_faults(one, key, error)
            return None

    def _check_texts(self, one: Written, rule: Rule, form: Form) -> None:
        """Every name in braces must be something the form, the rule or the derived names can give."""
        known: list[str] = [*form.by_name, *rule.params, *CONTEXT_NAMES, *self.catalogue.derived]
        known.extend(rule.optional_columns)
        if rule.per_field:
            known.extend([*FIELD_PLACEHOLDERS, *PER_FIELD_NAMES])
        texts = {"message": rule.message, "expected": rule.expected}
        if rule.suggestion and rule.suggestion.text:
            texts["suggestion"] = rule.suggestion.text
        for key, text in texts.items():
            for name in self._check_placeholders(one, rule, key, text or "", known):
                if name in self.catalogue.derived:
                    self._compile(one, rule, form, None, key, name, any_type=True)

    def _check_placeholders(self, one: Written, rule: Rule, key: str, text: str, known: list[str]) -> list[str]:
        """Names in braces that are known; the others are faults."""
        names = placeholders(text)
        if names is None:
            remedy = "占位写成 {字段英文名}，花括号里不写别的；要显示花括号本身写 {{ 和 }}"
            self._fault(one, key, f"{key} 里的花括号不成对或写法不对", remedy)
            return []
        for name in names:
            if name not in known and name not in self.reader.broken:
                remedy = did_you_mean(name, known, "花括号里写字段英文名、派生名或本规则的参数名")
                self._fault(one, key, f"{key} 里的 {{{name}}} 不是已知的字段、派生名或参数", remedy)
        return [name for name in names if name in known]

    def _key_of(self, rule: Rule, name: str) -> str:
        """The key whose expression names ``name``."""
        texts = {"when": rule.when, "assert": rule.assertion, "violated": rule.violated}
        if name in rule.optional_columns:
            return "optional_columns"
        return next((key for key, text in texts.items() if text and name in text), "id")

    def _expression_faults(self, one: Written, key: str, error: ExpressionError) -> None:
        for fault in error.faults:
            if not self.reader.blamed(fault.problem):
                self._fault(one, key, fault.problem, fault.remedy)

    def _fault(self, one: Written, key: str, problem: str, remedy: str) -> None:
        self.reader.fault(one.document, (*one.path, key), one.where, problem, remedy)


def placeholders(text: str) -> list[str] | None:
    """Names in braces of a message, in order; None if the braces make no sense (``{a.b}``, ``{a:5}`` do not either)."""
    try:
        parts = list(string.Formatter().parse(text))
    except ValueError:
        return None
    names: list[str] = []
    for _, name, spec, conversion in parts:
        if name is None:
            continue
        if not name.isidentifier() or spec or conversion:
            return None
        names.append(name)
    return names


def _with_conditions(reader: Reader, form: Form, catalogue: Catalogue) -> Form:
    fields: list[Field] = []
    for column in form.fields:
        if column.required_when:
            try:
                reads = parse_expression(column.required_when, form, catalogue).reads
            except ExpressionError as error:
                _condition_faults(reader, form, column, error)
                reader.broken.add(column.name)
                reads = frozenset()
            column = replace(column, condition_reads=reads)
        fields.append(column)
    return replace(form, fields=tuple(fields))


def _condition_faults(reader: Reader, form: Form, column: Field, error: ExpressionError) -> None:
    where = f"表单 {form.form_id} 字段 {column.name}"
    for fault in error.faults:
        if not reader.blamed(fault.problem):
            reader.fault(column.place, (), where, f"必填条件：{fault.problem}", fault.remedy)


def _check_derived(reader: Reader, catalogue: Catalogue) -> None:
    """A derived name must compile on at least one form; one that no form has the columns for is a fault."""
    forms = list(catalogue.forms.values())
    columns: Mapping[str, Any] = {name: None for form in forms for name in form.by_name}
    for derived in catalogue.derived.values():
        where = f"派生名 {derived.name}"
        before = len(reader.faults)
        try:
            needed = names_used(derived.expr, catalogue)
            able = [form for form in forms if needed <= form.by_name.keys()]
            for name in sorted((needed | derived.optional_columns) - columns.keys() - reader.broken):
                remedy = did_you_mean(name, [*columns, *catalogue.derived], "用 forms/ 里的英文列名或别的派生名")
                reader.fault(derived.place, (), where, f"没有一张表单有字段 {name}", remedy)
            if able:
                parse_expression(derived.name, able[0], catalogue, expect=None)
        except ExpressionError as error:
            for fault in error.faults:
                if not reader.blamed(fault.problem):
                    reader.fault(derived.place, (), where, fault.problem, fault.remedy)
        if len(reader.faults) > before:
            reader.broken.add(derived.name)
