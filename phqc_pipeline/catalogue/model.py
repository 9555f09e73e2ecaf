"""What ``rules/`` says, as frozen objects: forms, code lists, rules, reports, schemes, plans, and the catalogue of all.

Belongs here: the objects handed to every other package, and questions they can answer about themselves.
Does not belong here: reading YAML (``loader``), what YAML may say (``schema``), compiling (``expressions``).

Objects compare and hash by identity: one catalogue is loaded once and handed on, never rebuilt piecemeal.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from dataclasses import field as attribute  # several classes here have an attribute called field
from datetime import date, timedelta
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from phqc_pipeline.catalogue.delivered import Repairs, Repeats, SourceMap, source_of
from phqc_pipeline.catalogue.pricing import BillingTerms

if TYPE_CHECKING:
    from phqc_pipeline.catalogue.expressions import Expression
    from phqc_pipeline.catalogue.indicators import Indicator, Service

Kind = Literal["text", "int", "dec", "date", "ym", "dt", "code", "multi"]
Scalar = str | int | float | bool | date | None
Bounds = tuple[float | None, float | None]  # (lowest, highest) allowed, either end open as None

KINDS: tuple[Kind, ...] = ("text", "int", "dec", "date", "ym", "dt", "code", "multi")
NUMERIC_KINDS = frozenset({"int", "dec"})
DATE_KINDS = frozenset({"date", "ym", "dt"})
DIMENSIONS = ("完整性", "规范性", "逻辑性", "及时性/频次", "唯一性", "一致性(跨表)", "真实性", "报表核对")
SEVERITIES = ("严重", "一般", "提示")
GRAINS = ("row", "person", "doc", "inst", "household")
SUBJECT_KINDS = MappingProxyType(
    {"row": "record", "person": "person", "doc": "doctor", "inst": "institution", "household": "household"}
)
CARRIERS = ("pandera", "dbt")
ROOT_ITEMS = ("id_card_no", "person_name", "birth_date", "sex_code")  # identity items that share one root (0a.23)
PERSONAL_KINDS = ("name", "id_number", "phone", "address")
ROLES = ("phone", "identifier", "signature")
EVERY_FORM = "*"
EVERY_PERSON_FORM = "person"

# What a per-field rule's expression may read beside the form's own columns (spec: per_field).
PER_FIELD_NAMES = (
    "value",
    "hard_min",
    "hard_max",
    "soft_min",
    "soft_max",
    "scale",
    "other_code",
    "exclusive_codes",
    "required_now",
    "other_chosen",
)


def _empty() -> Mapping[str, Any]:
    return MappingProxyType({})


@dataclass(frozen=True, eq=False)
class Place:
    """Where in ``rules/`` something is written: file relative to the catalogue folder, line from 1."""

    file: str = ""
    line: int = 0


@dataclass(frozen=True, eq=False)
class Code:
    """One code of a list: ``1`` 男性, the other spellings it is delivered in, and attributes (``max_dose_mg`` …)."""

    code: str
    name: str
    synonyms: tuple[str, ...] = ()
    valid_from: date | None = None
    valid_to: date | None = None
    attrs: Mapping[str, Scalar] = attribute(default_factory=_empty)
    place: Place = Place()


@dataclass(frozen=True, eq=False)
class CodeList:
    """A closed list of codes (``CL_SEX``), or a small dictionary of the same shape (``CL_FAKE_PHONE``)."""

    list_id: str
    title: str
    codes: tuple[Code, ...]
    source: str = ""
    verified: bool = False
    place: Place = Place()

    @cached_property
    def by_code(self) -> Mapping[str, Code]:
        return {entry.code: entry for entry in self.codes}

    @cached_property
    def has_dates(self) -> bool:
        """Whether some code is not in force on every day."""
        return any(entry.valid_from or entry.valid_to for entry in self.codes)

    @cached_property
    def spellings(self) -> Mapping[str, str]:
        """Every way to write a code → the code: itself, its name, a synonym, leading zeros added or dropped (0a.21).

        An exact code wins over a name, a name over a padded code; letter case is kept as written.
        """
        found: dict[str, str] = {}
        for entry in self.codes:
            found[entry.code] = entry.code
        for entry in self.codes:
            for word in (entry.name, *entry.synonyms):
                found.setdefault(word, entry.code)
        for entry in self.codes:
            for padded in _zero_variants(entry.code):
                found.setdefault(padded, entry.code)
        return found


@dataclass(frozen=True, eq=False)
class DatedCodes:
    """Codes of a column that are in force only at times, by the record's service date (a column of kind ``kind``).

    ``spans``: codes that share their validity → its spans, each (first day, last day), both included, None open.
    A code not named here is always in force.
    """

    service_date: str
    kind: Kind
    spans: tuple[tuple[tuple[str, ...], tuple[tuple[date | None, date | None], ...]], ...]


@dataclass(frozen=True, eq=False)
class OtherOf:
    """A text cell that belongs to the choice 其他: to fill when ``field`` holds ``code`` (COM-C-011)."""

    field: str
    code: str


@dataclass(frozen=True, eq=False)
class Override:
    """What a profile puts in the place of the catalogue's own ``default``, and why. Texts as they are written."""

    value: Any
    default: Any
    profile_id: str
    why: str
    place: Place = Place()


@dataclass(frozen=True, eq=False)
class Field:
    """One column of a form.

    ``type`` is as written (``dec(4,1)``); ``kind``, ``length`` (text), ``precision`` and ``scale`` (dec) are its parts.
    ``required``: ``when`` means the language expression ``required_when`` decides, reading ``condition_reads``;
    ``required_note`` keeps a condition that no expression can state (it counts as ``never``, 0a.7). ``absent_ok``: a
    file without this required column is judged as if it were all empty (``record_status``).
    ``codes``: the list of a code or multi column; on a text column, codes among other texts; on an int column, names a
    figure may be delivered as (可自理 → 0). ``dated_codes``: those of a code or multi column that are not in force on
    every day; a cell with one out of force is unusable (0a.5). ``hard`` and ``soft`` are inclusive constant bounds.
    ``text_values``: cell texts that are valid although the column is numeric (视力 盲, 光感 …) → what they mean.
    ``person_only``: a column of the envelope that is about a person: never required on a form of an institution.
    """

    name: str
    title: str
    type: str
    kind: Kind
    synonyms: tuple[str, ...] = ()
    length: int | None = None
    precision: int | None = None
    scale: int | None = None
    unit: str = ""
    required: Literal["always", "never", "when"] = "never"
    required_when: str | None = None
    required_note: str = ""
    condition_reads: frozenset[str] = frozenset()
    required_override: Override | None = None
    absent_ok: bool = False
    hard: Bounds | None = None
    soft: Bounds | None = None
    codes: str | None = None
    dated_codes: DatedCodes | None = None
    text_values: Mapping[str, str] = attribute(default_factory=_empty)
    exclusive: tuple[str, ...] = ()
    other_of: OtherOf | None = None
    personal: str | None = None
    role: str | None = None
    business: bool = True
    extension: bool = False
    person_only: bool = False
    envelope: bool = False
    note: str = ""
    place: Place = Place()

    @property
    def headers(self) -> tuple[str, ...]:
        """Every header this column is known by: English name, Chinese title, synonyms."""
        return (self.name, self.title, *self.synonyms)

    @property
    def may_be_absent(self) -> bool:
        """Whether a file without the column is judged as if it were all empty, whatever else is missing (0a.8)."""
        return self.required == "never" or self.absent_ok

    @property
    def is_numeric(self) -> bool:
        return self.kind in NUMERIC_KINDS

    @property
    def is_date(self) -> bool:
        return self.kind in DATE_KINDS


@dataclass(frozen=True, eq=False)
class Form:
    """One form (表单): its envelope and own columns, and what its generic rules need to know.

    ``fields`` are the envelope's (but those the form words anew) and then the form's own, in the order of the form.
    ``service_date`` names the column that generic rules call visit_date (0a.3); ``stage`` the columns that tell apart
    several records of one person on one day (COM-U-002). ``repeats``: how several records stand in one row of a wide
    export, if they do. ``extract_fingerprint`` changes when reading a file would.
    """

    form_id: str
    title: str
    fields: tuple[Field, ...]
    service_date: str
    subject: Literal["person", "institution"] = "person"
    aliases: tuple[str, ...] = ()
    stage: tuple[str, ...] = ()
    source: str = ""
    frequency: str = ""
    key: str = ""
    own_names: frozenset[str] = frozenset()
    repeats: Repeats | None = None
    extract_fingerprint: str = ""
    place: Place = Place()

    @cached_property
    def by_name(self) -> Mapping[str, Field]:
        return {column.name: column for column in self.fields}

    @cached_property
    def own_fields(self) -> tuple[Field, ...]:
        """The columns written in the form's own file (without the envelope's)."""
        return tuple(column for column in self.fields if column.name in self.own_names)

    @property
    def names(self) -> tuple[str, ...]:
        """What a landing file of this form may be called: id, title, aliases."""
        return (self.form_id, self.title, *self.aliases)

    def field(self, name: str) -> Field:
        """The column of that name; KeyError with the form's id when there is none."""
        try:
            return self.by_name[name]
        except KeyError:
            raise KeyError(f"表单 {self.form_id} 没有字段 {name}") from None

    def has(self, name: str) -> bool:
        return name in self.by_name

    def blocking(self, missing: Collection[str]) -> frozenset[str]:
        """Which of a file's ``missing`` columns make a rule that reads them ``not_evaluable`` (0a.8).

        A required column does. A conditionally required one does too, unless its condition reads nothing but optional
        columns that are missing as well: then a whole group (``drug2_*``) was left out, and reads as empty.
        """
        lacking = [self.field(name) for name in missing if self.has(name)]
        optional = {column.name for column in lacking if column.required == "never"}
        return frozenset(
            column.name
            for column in lacking
            if column.required == "always"
            or (column.required == "when" and not (column.condition_reads and column.condition_reads <= optional))
        )


@dataclass(frozen=True, eq=False)
class EquivalentMutant:
    """A mutant of a rule or derived name that no record can tell from it, and why (``phqc rules mutate``)."""

    mutant: str
    why: str


@dataclass(frozen=True, eq=False)
class Derived:
    """A name defined once for every form (``age`` 周岁): a macro in the expression language.

    A column in ``optional_columns`` that a form lacks reads as empty in it.
    """

    name: str
    title: str
    expr: str
    optional_columns: frozenset[str] = frozenset()
    equivalent_mutants: tuple[EquivalentMutant, ...] = ()
    place: Place = Place()


@dataclass(frozen=True, eq=False)
class GrowthTable:
    """The reference figures of one measure (``weight_kg``) of children: L, M, S by sex and age.

    ``lms`` holds, for each of ``sexes`` in turn, ``days`` rows from the age of ``first_day`` days on, one a day, and
    then ``months`` rows from ``first_month`` full months on: ages beyond the last day look there.
    """

    measure: str
    sexes: tuple[str, ...]
    first_day: int
    days: int
    first_month: int
    months: int
    lms: tuple[tuple[float, float, float], ...]

    @property
    def ages(self) -> int:
        """Rows a sex."""
        return self.days + self.months


@dataclass(frozen=True, eq=False)
class Suggestion:
    """What to put instead: fixed ``text``, or an ``expr`` in the language that computes the value. One is set.

    ``certain``: what ``expr`` gives is right whenever what it reads is; then it is proposed as a correction, unless one
    of ``doubted_by`` was found on the same record. Neither says anything of the judgement: not in the fingerprint.
    """

    text: str | None = None
    expr: str | None = None
    certain: bool = False
    doubted_by: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Example:
    """One example record of a rule: column (or derived name, or context scalar) → value as a clerk would write it."""

    values: Mapping[str, Any]
    note: str = ""
    place: Place = Place()


@dataclass(frozen=True, eq=False)
class PerField:
    """Which columns a per-field rule is instantiated on (0a.6); every given condition must hold.

    ``types``: kinds (``text`` … ``multi``), empty = all. ``has``: ``hard``, ``soft``, ``codes``, ``exclusive``,
    ``other_of``, ``required`` (always or when) or ``scale``. ``role``: only that role. ``exclude_roles``: not these.
    """

    types: tuple[str, ...] = ()
    has: str | None = None
    role: str | None = None
    exclude_roles: tuple[str, ...] = ()
    exclude_fields: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Rule:
    """One version of one rule, as written.

    ``forms`` (less ``except_forms``) is the scope as written: form ids, ``*`` or ``person``; ``form_ids`` the forms it
    is instantiated on. Exactly one of ``assertion`` (YAML ``assert``) and ``violated`` is set on a pandera rule. A dbt
    rule has ``model``, ``reads`` (form → columns), ``own_reads`` (columns of whichever form it reports on, where
    ``service_date`` is that form's own) and a readable ``expression`` instead; ``form_id`` is its home form.
    ``needs`` says in Chinese which data the rule rests on: where no subject has them it is ``not_evaluable``;
    ``statistical`` marks a test whose outcome is a lead with a stated rate of false ones, not a certain fault.
    ``expression`` is the readable judgement for both carriers (``qc.rule.expression``).
    """

    rule_id: str
    version: int
    title: str
    forms: tuple[str, ...]
    form_ids: tuple[str, ...]
    carrier: Literal["pandera", "dbt"]
    dimension: str
    severity: str
    grain: str
    message: str
    params: Mapping[str, Any] = attribute(default_factory=_empty)
    when: str | None = None
    assertion: str | None = None
    violated: str | None = None
    per_field: PerField | None = None
    field: str = ""
    suggestion: Suggestion | None = None
    expected: str | None = None
    basis: str = ""
    verified: bool = False
    valid_from: date | None = None
    valid_to: date | None = None
    suppressed_by: tuple[str, ...] = ()
    optional_columns: frozenset[str] = frozenset()
    root: str | None = None
    pass_examples: tuple[Example, ...] = ()
    fail_examples: tuple[Example, ...] = ()
    equivalent_mutants: tuple[EquivalentMutant, ...] = ()
    overrides: Mapping[str, Override] = attribute(default_factory=_empty)
    model: str | None = None
    reads: Mapping[str, tuple[str, ...]] = attribute(default_factory=_empty)
    own_reads: tuple[str, ...] = ()
    checks_empty: tuple[str, ...] = ()
    period_scoped: bool = False
    needs: str = ""
    statistical: bool = False
    expression: str = ""
    except_forms: tuple[str, ...] = ()
    note: str = ""
    place: Place = Place()
    fingerprint: str = ""

    @property
    def form_id(self) -> str:
        """The home form; ``*`` or ``person`` for a generic rule, joined ids for a rule of several forms."""
        return ",".join(self.forms)

    @property
    def subject_kind(self) -> str:
        """``record``, ``person``, ``doctor``, ``institution`` or ``household`` (0a.11)."""
        return SUBJECT_KINDS[self.grain]

    @property
    def key(self) -> tuple[str, int]:
        return (self.rule_id, self.version)

    def in_force_on(self, day: date) -> bool:
        """Whether this version's validity holds on ``day`` (both ends included)."""
        return (self.valid_from is None or self.valid_from <= day) and (self.valid_to is None or day <= self.valid_to)


@dataclass(frozen=True, eq=False)
class RuleCheck:
    """One rule version on one form, and for a per-field rule on one field: what Pandera carries as one check.

    ``violated`` is TRUE where the judgement fails (the negated ``assert``); a violation is ``when`` TRUE and
    ``violated`` TRUE. ``field`` is the finding's field: the per-field column, else the rule's main field, else ``""``.
    ``reads`` are the physical columns read; ``optional`` those of them whose absence from the file reads as all empty
    (0a.8: neither always nor conditionally required, or ``absent_ok`` unless the rule tests it for emptiness);
    ``empties`` those the rule tests for emptiness.
    """

    rule: Rule
    form_id: str
    field: str
    when: Expression | None
    violated: Expression
    reads: frozenset[str]
    optional: frozenset[str] = frozenset()
    empties: frozenset[str] = frozenset()
    suggestion: Expression | None = None

    @property
    def key(self) -> tuple[str, int, str]:
        return (self.rule.rule_id, self.rule.version, self.field)

    @property
    def required(self) -> frozenset[str]:
        """Columns without which the rule is ``not_evaluable`` (but for whole groups left out: ``blocked_by``)."""
        return self.reads - self.optional

    def blocked_by(self, form: Form, missing: Collection[str]) -> frozenset[str]:
        """The columns, of those ``missing`` from a delivery, that make the check ``not_evaluable`` (0a.8)."""
        return form.blocking(missing) & self.required


@dataclass(frozen=True, eq=False)
class ReportItem:
    """One item of a report: ``ehr_electronic`` 已建立电子健康档案人数.

    An item that can be counted in the records has a ``model`` of dbt's that counts it by ``params``, and ``reads``: the
    forms (and the columns of each) without which nobody can tell. ``reads_any``: one of the forms is enough.
    """

    item: str
    title: str
    synonyms: tuple[str, ...] = ()
    type: str = "int"
    nature: str = ""
    recomputed: bool = False
    unit: str = ""
    definition: str = ""
    note: str = ""
    model: str = ""
    reads: Mapping[str, tuple[str, ...]] = attribute(default_factory=_empty)
    reads_any: bool = False
    params: Mapping[str, Any] = attribute(default_factory=_empty)
    place: Place = Place()

    @property
    def headers(self) -> tuple[str, ...]:
        return (self.item, self.title, *self.synonyms)


@dataclass(frozen=True, eq=False)
class Report:
    """One report sent upward (``r_archive``); delivered wide, one row per institution and period."""

    report_id: str
    title: str
    items: tuple[ReportItem, ...]
    aliases: tuple[str, ...] = ()
    source: str = ""
    place: Place = Place()

    @property
    def names(self) -> tuple[str, ...]:
        return (self.report_id, self.title, *self.aliases)

    @cached_property
    def by_item(self) -> Mapping[str, ReportItem]:
        return {entry.item: entry for entry in self.items}


@dataclass(frozen=True, eq=False)
class Requirement:
    """When a field must be filled, as a profile says it: ``always``, ``never``, or ``when`` an expression holds."""

    required: Literal["always", "never", "when"]
    when: str | None = None

    def __str__(self) -> str:
        return {"always": "必填", "never": "选填"}.get(self.required, f"{self.when} 时必填")


@dataclass(frozen=True, eq=False)
class LocalValue:
    """One value of a profile: a parameter's, or a ``Requirement``; ``why`` empty means the profile's own basis."""

    value: Any
    why: str = ""
    place: Place = Place()


@dataclass(frozen=True, eq=False)
class Profile:
    """Local figures of a province, county or institution, on top of those of ``extends``.

    ``params``: rule → parameter → value; ``required``: form → field → requirement. ``regions`` (leading digits of
    codes) and ``institutions`` say whom it is meant for; both empty: anyone.
    """

    profile_id: str
    title: str
    level: str
    basis: str
    verified: bool
    extends: str | None = None
    regions: tuple[str, ...] = ()
    institutions: tuple[str, ...] = ()
    params: Mapping[str, Mapping[str, LocalValue]] = attribute(default_factory=_empty)
    required: Mapping[str, Mapping[str, LocalValue]] = attribute(default_factory=_empty)
    note: str = ""
    place: Place = Place()

    def is_meant_for(self, institution_code: str) -> bool:
        """Whether an institution is among those the profile is for."""
        if not self.regions and not self.institutions:
            return True
        return institution_code in self.institutions or institution_code.startswith(self.regions)


@dataclass(frozen=True, eq=False)
class Scheme:
    """质控方案: which rules, how many points each violation costs, when a record passes.

    ``rules``: ids judged on any form; ``chosen``: form → ids judged on it; both None: every rule. ``deductions``:
    points by severity; ``rule_deductions``: of single rules, instead; ``dimension_weights``: factors on both.
    ``form_weights``: what a form's record counts in a doctor's or institution's score. ``pass_lines``: record, doctor,
    institution → least score, 0 to 100. ``unscored_dimensions``: what only makes lists to look into (0a.17).
    ``report_params``: report item → parameter → value, instead of the item's own (which 口径 is compared).
    """

    scheme_id: str
    title: str
    rules: tuple[str, ...] | None
    deductions: Mapping[str, float]
    passes_without: tuple[str, ...]  # severities of which a passing record has none
    profile: str | None = None
    chosen: Mapping[str, frozenset[str]] | None = None
    rule_deductions: Mapping[str, float] = attribute(default_factory=_empty)
    dimension_weights: Mapping[str, float] = attribute(default_factory=_empty)
    form_weights: Mapping[str, float] = attribute(default_factory=_empty)
    pass_lines: Mapping[str, float] = attribute(default_factory=_empty)
    unscored_dimensions: tuple[str, ...] = ("真实性",)
    extends: str | None = None
    report_params: Mapping[str, Mapping[str, Any]] = attribute(default_factory=_empty)
    place: Place = Place()

    def takes(self, rule_id: str, form_id: str) -> bool:
        """Whether the rule is judged on the form."""
        if self.chosen is not None:
            return rule_id in self.chosen.get(form_id, ())
        return self.rules is None or rule_id in self.rules

    def points(self, rule: Rule) -> float:
        """What one violation of the rule takes off a record's 100 points."""
        if rule.dimension in self.unscored_dimensions:
            return 0.0
        each = self.rule_deductions.get(rule.rule_id, self.deductions.get(rule.severity, 0.0))
        return float(each * self.dimension_weights.get(rule.dimension, 1.0))

    def fails(self, rule: Rule) -> bool:
        """Whether one violation of the rule alone keeps a record from passing."""
        return rule.severity in self.passes_without and rule.dimension not in self.unscored_dimensions


@dataclass(frozen=True, eq=False)
class Sampling:
    """How a plan draws its sample: of each stratum ``size`` records, or the share ``fraction``, at least ``minimum``.

    ``strata``: of ``institution``, ``form``, ``doctor``, ``month`` (of service). The same seed draws the same records.
    """

    fraction: float | None
    size: int | None
    minimum: int
    seed: int
    strata: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Plan:
    """质控计划: which scheme runs when, on which institutions and forms (None = all), over which period.

    ``period``: ``natural_year``, or ``MM-DD`` on which a year of twelve months begins. ``sampling`` None: every record.
    ``also_score``: schemes that score the same findings beside its own (None: all there are).
    """

    plan_id: str
    title: str
    scheme: str
    schedule: str
    institutions: tuple[str, ...] | None = None
    forms: tuple[str, ...] | None = None
    period: str = "natural_year"
    records_from: date | None = None
    sampling: Sampling | None = None
    also_score: tuple[str, ...] | None = None
    active: bool = True
    place: Place = Place()

    def context(self, snapshot: date) -> Context:
        """Today is the snapshot date (0a.2); the period is the plan's year around it."""
        if self.period == "natural_year":
            return Context.natural_year(snapshot)
        month, day = (int(part) for part in self.period.split("-"))
        year = snapshot.year if (snapshot.month, snapshot.day) >= (month, day) else snapshot.year - 1
        return Context(snapshot, date(year, month, day), date(year + 1, month, day) - timedelta(days=1))


@dataclass(frozen=True, eq=False)
class Settings:
    """Figures of the pipeline itself that a site may change (``rules/settings.yaml``, optional).

    ``shrink_ratio``: a delivery with less than this share of the last accepted rows is held back (contract, 2).
    ``payment_working_days``: working days after signing within which an order is to be paid that does not say itself.
    ``difference_days``: services so many days outside a period may explain a difference between report and records.
    ``verification_margin``: how far from 1 the WHO's verification factor may lie.
    """

    shrink_ratio: float = 0.5
    payment_working_days: int = 5
    difference_days: int = 31
    verification_margin: float = 0.1


@dataclass(frozen=True)
class Context:
    """What an evaluation needs beside the record: today (= snapshot date, 0a.2) and the period judged."""

    today: date
    period_start: date
    period_end: date

    @classmethod
    def natural_year(cls, today: date) -> Context:
        return cls(today, date(today.year, 1, 1), date(today.year, 12, 31))

    @property
    def period(self) -> str:
        """The period's name in findings: ``2024`` for a natural year, else both ends."""
        year = self.period_start.year
        if (self.period_start, self.period_end) == (date(year, 1, 1), date(year, 12, 31)):
            return str(year)
        return f"{self.period_start.isoformat()}..{self.period_end.isoformat()}"


#: Levels of risk, the highest first.
RISK_LEVELS = ("高", "中", "低", "无")


@dataclass(frozen=True)
class SamplingTerms:
    """``verification.yaml``: ``size`` people of each institution, of each level of risk its share, every
    ``home_every``-th of them visited at home. The same ``seed`` draws the same people."""

    seed: int = 1
    size: int = 30
    shares: Mapping[str, float] = attribute(
        default_factory=lambda: dict(zip(RISK_LEVELS, (0.5, 0.3, 0.1, 0.1), strict=True))
    )
    home_every: int = 5


@dataclass(frozen=True, eq=False)
class Catalogue:
    """Everything ``rules/`` says, checked. Get one from ``load_catalogue``."""

    directory: Path
    forms: Mapping[str, Form]
    codes: Mapping[str, CodeList]
    derived: Mapping[str, Derived]
    rules: tuple[Rule, ...] = ()
    reports: Mapping[str, Report] = attribute(default_factory=_empty)
    schemes: Mapping[str, Scheme] = attribute(default_factory=_empty)
    plans: Mapping[str, Plan] = attribute(default_factory=_empty)
    settings: Settings = Settings()
    billing: BillingTerms = attribute(default_factory=BillingTerms)
    verification: SamplingTerms = attribute(default_factory=lambda: SamplingTerms())
    growth: Mapping[str, GrowthTable] = attribute(default_factory=_empty)
    repairs: Repairs = attribute(default_factory=Repairs)
    sources: Mapping[str, SourceMap] = attribute(default_factory=_empty)
    indicators: Mapping[str, Indicator] = attribute(default_factory=_empty)
    services: Mapping[str, Service] = attribute(default_factory=_empty)
    profiles: Mapping[str, Profile] = attribute(default_factory=_empty)
    profile: Profile | None = None  # the one in force; None: the catalogue's own figures
    fingerprint: str = ""
    checks_by_form: Mapping[str, tuple[RuleCheck, ...]] = attribute(default_factory=_empty)

    def source_of(self, institution_code: str) -> SourceMap | None:
        """The map of the system the institution delivers from, if it is not one that writes as the dictionary does."""
        return source_of(self.sources, institution_code)

    def form(self, form_id: str) -> Form:
        return self.forms[form_id]

    def checks(self, form_id: str) -> list[RuleCheck]:
        """Every pandera-carried check of the form, record rules first in the catalogue's order, then per field."""
        return list(self.checks_by_form.get(form_id, ()))

    def rules_of(self, form_id: str) -> list[Rule]:
        """Every rule, of either carrier, that is instantiated on the form."""
        return [rule for rule in self.rules if form_id in rule.form_ids]

    def versions(self, rule_id: str) -> list[Rule]:
        """All versions of one rule, oldest first; empty when there is no such rule."""
        return sorted((rule for rule in self.rules if rule.rule_id == rule_id), key=lambda rule: rule.version)

    def required_columns(self, form_id: str) -> frozenset[str]:
        """Columns required always or on an expressible condition, but those a file may lack (``absent_ok``)."""
        return frozenset(column.name for column in self.forms[form_id].fields if not column.may_be_absent)


def _zero_variants(code: str) -> list[str]:
    """``1`` → ``01``, ``001``; ``01`` → ``1``, ``001``; nothing for a code that is not all digits."""
    if not code.isdigit():
        return []
    bare = code.lstrip("0") or "0"
    longest = max(len(code) + 1, 3)
    return [variant for width in range(len(bare), longest + 1) if (variant := bare.zfill(width)) != code]
