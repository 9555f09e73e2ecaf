"""What YAML under ``rules/`` may say: one closed pydantic model for each kind of entry.

Belongs here: keys, their types and small shapes, and pydantic's complaints in Chinese with the line they concern.
Does not belong here: anything that needs two entries to judge (``loader`` and its helpers).
"""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import PydanticCustomError

from phqc_pipeline.catalogue.faults import Fault, closest
from phqc_pipeline.catalogue.stand_in import stand_in
from phqc_pipeline.catalogue.yaml_lines import Document, Path_


def wrong(problem: str, remedy: str) -> PydanticCustomError:
    """A complaint in our own words, for validators below."""
    return PydanticCustomError("phqc", "{problem}", {"problem": problem, "remedy": remedy})


def _text(value: Any) -> Any:
    if not isinstance(value, str):
        raise wrong(f"应是文字，写的是 {_show(value)}", "给这个值加引号，或改成文字")
    if not value.strip():
        raise wrong("是空的", "填上内容")
    return value.strip()


def _code_text(value: Any) -> Any:
    """A code may be written bare; a number keeps its digits (a leading zero survived the YAML reader)."""
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise wrong(f"代码写成了 {_show(value)}", "给代码加引号，例如 '1'")
    return str(value)


def _identifier(value: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9_]*", value):
        raise wrong(f"“{value}”不是合法的英文名", "只用小写字母、数字和下划线，以字母开头")
    return value


def _day(value: Any) -> Any:
    if isinstance(value, str):
        try:
            return date.fromisoformat(value)
        except ValueError:
            pass
    elif isinstance(value, date):
        return value
    raise wrong(f"{_show(value)} 不是日期", "写成 2017-02-28 的样子")


def _list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


# ``json_schema_input_type`` and ``WithJsonSchema`` tell ``json_schema`` what may be written where a validator comes
# before the type.
_NAME = WithJsonSchema({"type": "string", "pattern": "^[a-z][a-z0-9_]*$"})
Text = Annotated[str, BeforeValidator(_text)]
CodeText = Annotated[str, BeforeValidator(_code_text, json_schema_input_type=str | int)]
Name = Annotated[str, BeforeValidator(_text), AfterValidator(_identifier), _NAME]
Day = Annotated[date, BeforeValidator(_day)]
Number = Annotated[float, Field(strict=False)]
Texts = Annotated[list[Text], BeforeValidator(_list, json_schema_input_type=Text | list[Text])]
Names = Annotated[list[Name], BeforeValidator(_list, json_schema_input_type=Name | list[Name])]
CodeTexts = Annotated[list[CodeText], BeforeValidator(_list, json_schema_input_type=str | list[str | int])]


_LIST: Any = Field(default_factory=list)  # a plain [] would be deep-copied for each of thousands of entries
_DICT: Any = Field(default_factory=dict)


class Closed(BaseModel):
    """Unknown keys are refused, types are not coerced."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, populate_by_name=False)


class OtherOfIn(Closed):
    field: Name
    code: CodeText


class RequiredIn(Closed):
    """``required: {when: expression}`` or ``required: {note: text}``."""

    when: Text | None = None
    note: Text | None = None

    @model_validator(mode="after")
    def _one(self) -> RequiredIn:
        if self is not ALWAYS and self is not NEVER and (self.when is None) == (self.note is None):
            raise wrong("required 要么写 when 要么写 note，只写一个", "能写成字段表达式的写 when，不能的写 note")
        return self


ALWAYS = RequiredIn.model_construct()  # required: Y
NEVER = RequiredIn.model_construct()  # required: N


def _required(value: Any) -> Any:
    if value in ("Y", "N"):
        return ALWAYS if value == "Y" else NEVER
    if isinstance(value, (dict, RequiredIn)):
        return value
    raise wrong(f"写成了 {_show(value)}", "写 Y、N、{when: 表达式} 或 {note: 条件的文字说明}")


_YES_NO = Literal["Y", "N"]
Required = Annotated[RequiredIn, BeforeValidator(_required, json_schema_input_type=_YES_NO | RequiredIn)]


def _range(value: Any) -> Any:
    ends = value if isinstance(value, list) else []
    numbers = [end for end in ends if isinstance(end, (int, float)) and not isinstance(end, bool)]
    if len(ends) != 2 or len(numbers) + ends.count(None) != 2 or not numbers:
        raise wrong(f"范围写成了 {_show(value)}", "写成 [最小, 最大]，开口的一端写 null，例如 [60, 280] 或 [0, null]")
    if len(numbers) == 2 and numbers[0] > numbers[1]:
        raise wrong(f"范围的下限 {numbers[0]} 大于上限 {numbers[1]}", "把小的写在前面")
    return value


def _text_values(value: Any) -> Any:
    """``[盲, 光感]`` or ``{盲: 意思}``: both become text → meaning."""
    if isinstance(value, list):
        return {_code_text(word): "" for word in value}
    if isinstance(value, dict):
        return {str(word): "" if meaning is None else str(meaning) for word, meaning in value.items()}
    raise wrong(f"写成了 {_show(value)}", "写成 [盲, 光感] 或 {盲: 说明}")


_WORDS = list[str | int] | dict[str, str | int | None]
TextValues = Annotated[dict[str, str], BeforeValidator(_text_values, json_schema_input_type=_WORDS)]
_ENDS = {"type": "array", "items": {"type": ["number", "null"]}, "minItems": 2, "maxItems": 2}
Range = Annotated[list[float | None], BeforeValidator(_range), WithJsonSchema(_ENDS)]


class FieldIn(Closed):
    name: Name
    title: Text
    type: Text
    synonyms: Texts = _LIST
    unit: str = ""
    required: Required = NEVER
    hard: Range | None = None
    soft: Range | None = None
    codes: Text | None = None
    text_values: TextValues = _DICT
    exclusive: CodeTexts = _LIST
    other_of: OtherOfIn | None = None
    personal: Literal["name", "id_number", "phone", "address"] | None = None
    role: Literal["phone", "identifier", "signature"] | None = None
    business: bool = True
    extension: bool = False
    absent_ok: bool = False
    person_only: bool = False
    note: str = ""


class EnvelopeIn(Closed):
    fields: list[Any]
    title: str = ""
    note: str = ""


class RepeatsIn(Closed):
    """``repeats:`` of a form. ``groups``: value → marks; with several ``by``: field → (code list, or value → words)."""

    by: Names = _LIST
    groups: dict[str, Any]
    marks: Texts = _LIST
    fields: Names = _LIST
    alone: Name | None = None
    last: Names = _LIST
    bare_suffix: bool = False
    note: str = ""


class FormIn(Closed):
    form_id: Name
    title: Text
    aliases: Texts = _LIST
    subject: Literal["person", "institution"]
    service_date: Name
    stage: Names = _LIST
    source: str = ""
    frequency: str = ""
    key: str = ""
    note: str = ""
    repeats: RepeatsIn | None = None
    fields: list[Any]


class CodeIn(Closed):
    code: CodeText
    name: Annotated[str, BeforeValidator(_code_text, json_schema_input_type=str | int), BeforeValidator(_text)]
    synonyms: CodeTexts = _LIST
    valid_from: Day | None = None
    valid_to: Day | None = None
    attrs: dict[str, Any] = _DICT
    note: str = ""


class CodeListIn(Closed):
    id: Text
    title: Text
    source: str = ""
    verified: bool = False
    note: str = ""
    codes: list[Any]


class EquivalentMutantIn(Closed):
    mutant: Text
    why: Text


class DerivedIn(Closed):
    name: Name
    title: Text
    expr: Text
    optional_columns: Names = _LIST
    equivalent_mutants: list[EquivalentMutantIn] = _LIST
    note: str = ""


class SuggestionIn(Closed):
    text: Text | None = None
    expr: Text | None = None
    certain: bool = False
    doubted_by: Texts = _LIST

    @model_validator(mode="after")
    def _one(self) -> SuggestionIn:
        if (self.text is None) == (self.expr is None):
            raise wrong("suggestion 要么写 text 要么写 expr，只写一个", "固定文字写 text，要计算的写 expr")
        if self.certain and self.expr is None:
            raise wrong("固定文字的建议写了 certain", "只有算得出值的建议（expr）才能成为更正；去掉 certain")
        if self.doubted_by and not self.certain:
            raise wrong("写了 doubted_by 而没有 certain: true", "补上 certain: true，或去掉 doubted_by")
        return self


def _suggestion(value: Any) -> Any:
    return {"text": value} if isinstance(value, str) else value


Suggestion = Annotated[
    SuggestionIn | None, BeforeValidator(_suggestion, json_schema_input_type=str | SuggestionIn | None)
]


class PerFieldIn(Closed):
    types: list[Literal["text", "int", "dec", "date", "ym", "dt", "code", "multi"]] = _LIST
    has: Literal["hard", "soft", "codes", "exclusive", "other_of", "required", "scale"] | None = None
    role: Literal["phone", "identifier", "signature"] | None = None
    exclude_roles: list[Literal["phone", "identifier", "signature"]] = _LIST
    exclude_fields: Names = _LIST


class ExamplesIn(Closed):
    pass_: list[Any] = Field(default_factory=list, alias="pass")
    fail: list[Any] = _LIST


class RuleIn(Closed):
    id: Text
    version: int = Field(default=1, ge=1)
    title: Text
    forms: Texts | None = None
    except_forms: Names = _LIST
    form_id: Name | None = None
    carrier: Literal["pandera", "dbt"] = "pandera"
    dimension: Literal["完整性", "规范性", "逻辑性", "及时性/频次", "唯一性", "一致性(跨表)", "真实性", "报表核对"]
    severity: Literal["严重", "一般", "提示"]
    grain: Literal["row", "person", "doc", "inst", "household"] = "row"
    params: dict[str, Any] = _DICT
    when: Text | None = None
    assert_: Text | None = Field(default=None, alias="assert")
    violated: Text | None = None
    per_field: PerFieldIn | None = None
    field: Name | None = None
    message: Text
    suggestion: Suggestion = None
    expected: Text | None = None
    basis: Text
    verified: bool
    valid_from: Day | None = None
    valid_to: Day | None = None
    suppressed_by: Texts = _LIST
    optional_columns: Names = _LIST
    root: Literal["id_card_no", "person_name", "birth_date", "sex_code"] | None = None
    examples: ExamplesIn = ExamplesIn()
    equivalent_mutants: list[EquivalentMutantIn] = _LIST
    model: Name | None = None
    reads: dict[str, Names] = _DICT
    checks_empty: Names = _LIST
    period_scoped: bool = False
    needs: Text | None = None
    statistical: bool = False
    expression: Text | None = None
    note: str = ""


class ReportItemIn(Closed):
    item: Name
    title: Text
    synonyms: Texts = _LIST
    type: Text = "int"
    nature: Literal["", "时点", "累计", "累计(近1年)"] = ""
    recomputed: bool = False
    unit: str = ""
    definition: str = ""
    model: Name | None = None
    reads: dict[Name, Names] = _DICT
    reads_any: bool = False
    params: dict[Name, Any] = _DICT
    note: str = ""


class ReportIn(Closed):
    report_id: Name
    title: Text
    aliases: Texts = _LIST
    source: str = ""
    note: str = ""
    items: list[Any]


#: Which of a key's shapes is meant; they stand in pydantic's locations, where nobody wrote them.
_WORD, _GROUP, _LISTED = Tag("@word"), Tag("@group"), Tag("@list")


def _kind(value: Any) -> str:
    return _GROUP.tag if isinstance(value, (dict, BaseModel)) else _LISTED.tag if isinstance(value, list) else _WORD.tag


def _one_or_many(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Several = Annotated[list[Text], BeforeValidator(_one_or_many, json_schema_input_type=str | list[str])]


class SelectorIn(Closed):
    """Rules that have all of what is named: ``{forms: htn_followup, severities: [严重]}``; bare text is an id."""

    ids: Several = _LIST
    forms: Several = _LIST
    dimensions: Several = _LIST
    severities: Several = _LIST

    @model_validator(mode="after")
    def _says_something(self) -> SelectorIn:
        if not (self.ids or self.forms or self.dimensions or self.severities):
            raise wrong("没有写按什么选规则", "写 ids、forms、dimensions、severities 中的一项或几项")
        return self


def _selector(value: Any) -> Any:
    return {"ids": [value]} if isinstance(value, str) else value


Selector = Annotated[SelectorIn, BeforeValidator(_selector, json_schema_input_type=str | SelectorIn)]


class RuleChoiceIn(Closed):
    """Which rules: ``only`` keeps, ``include`` adds, ``exclude`` takes away, in this order."""

    only: list[Selector] = _LIST
    include: list[Selector] = _LIST
    exclude: list[Selector] = _LIST


class WeightsIn(Closed):
    """Factors, 1 where nothing is said: of a dimension on points, of a form on records."""

    dimensions: dict[str, float] = _DICT
    forms: dict[str, float] = _DICT


class PassLinesIn(Closed):
    """Scores from which a record passes, a doctor or an institution reaches the mark."""

    record: float | None = None
    doctor: float | None = None
    institution: float | None = None


class SchemeIn(Closed):
    scheme_id: Name
    title: Text
    extends: Name | None = None
    rules: (
        Annotated[
            Annotated[Literal["all"], _WORD] | Annotated[list[Text], _LISTED] | Annotated[RuleChoiceIn, _GROUP],
            Discriminator(_kind),
        ]
        | None
    ) = None
    deductions: dict[str, float] = _DICT
    rule_deductions: dict[str, float] = _DICT
    weights: WeightsIn = WeightsIn()
    pass_: Text | None = Field(default=None, alias="pass")
    pass_lines: PassLinesIn = PassLinesIn()
    unscored_dimensions: list[Text] | None = None
    profile: Name | None = None
    report_params: dict[Name, dict[Name, Any]] = _DICT
    note: str = ""

    @model_validator(mode="after")
    def _stands_alone(self) -> SchemeIn:
        if self.extends is None and not self.deductions:
            raise wrong("没有写扣分", "写 deductions: {严重: 10, 一般: 3, 提示: 0}，或用 extends 继承别的方案")
        if self.extends is None and self.pass_ is None:
            raise wrong("没有写合格条件", "写 pass: 无严重，或用 extends 继承别的方案")
        return self


class AppliesToIn(Closed):
    regions: CodeTexts = _LIST
    institutions: CodeTexts = _LIST


class ParameterValueIn(Closed):
    """``param: {value: 135, why: reason}``; a bare value stands for one without a reason of its own."""

    value: Any
    why: Text | None = None


class RequirementIn(Closed):
    """``field: {is: Y, why: reason}`` or ``{when: expression, why: reason}``; a bare Y or N has no reason."""

    is_: Literal["Y", "N"] | None = Field(default=None, alias="is")
    when: Text | None = None
    why: Text | None = None

    @model_validator(mode="after")
    def _one(self) -> RequirementIn:
        if (self.is_ is None) == (self.when is None):
            raise wrong("要么写 is 要么写 when，只写一个", "写 Y、N、{is: Y, why: 理由} 或 {when: 表达式, why: 理由}")
        return self


def _parameter_value(value: Any) -> Any:
    return value if isinstance(value, dict) else {"value": value}


def _requirement(value: Any) -> Any:
    if isinstance(value, dict):
        return value
    if value in ("Y", "N"):
        return {"is": value}
    raise wrong(f"写成了 {_show(value)}", "写 Y、N、{is: Y, why: 理由} 或 {when: 表达式, why: 理由}")


_BARE = str | int | float | bool | list[str | int | float]
ParameterValue = Annotated[
    ParameterValueIn, BeforeValidator(_parameter_value, json_schema_input_type=_BARE | ParameterValueIn)
]
Requirement = Annotated[RequirementIn, BeforeValidator(_requirement, json_schema_input_type=_YES_NO | RequirementIn)]


class ProfileIn(Closed):
    """Local figures: ``params``: rule → parameter → value; ``required``: form → field → requirement."""

    profile_id: Name
    title: Text
    level: Literal["province", "county", "institution"]
    extends: Name | None = None
    applies_to: AppliesToIn = AppliesToIn()
    basis: Text
    verified: bool
    params: dict[str, dict[str, ParameterValue]] = _DICT
    required: dict[str, dict[str, Requirement]] = _DICT
    note: str = ""


class PeriodIn(Closed):
    """A year of twelve months that begins on another day than 1 January: ``begins: "10-01"``."""

    begins: Text


Stratum = Literal["institution", "form", "doctor", "month"]


def _by_institution_and_form() -> list[Stratum]:
    return ["institution", "form"]


class SamplingIn(Closed):
    """A stratified sample of records: a share (``fraction``) or a number (``size``) of each stratum."""

    fraction: Annotated[float, Field(gt=0, le=1)] | None = None
    size: Annotated[int, Field(ge=1)] | None = None
    minimum: Annotated[int, Field(ge=1)] = 1
    seed: int = 1
    strata: list[Stratum] = Field(default_factory=_by_institution_and_form)

    @model_validator(mode="after")
    def _one(self) -> SamplingIn:
        if (self.fraction is None) == (self.size is None):
            raise wrong("要么写 fraction 要么写 size，只写一个", "写 {fraction: 0.05} 或 {size: 50}")
        return self


class PlanIn(Closed):
    plan_id: Name
    title: str = ""
    scheme: Name
    also_score: Literal["all"] | list[Name] = "all"
    active: bool = True
    institutions: Literal["all"] | list[CodeText] = "all"
    forms: Literal["all"] | list[Name] = "all"
    period: Annotated[Annotated[Literal["natural_year"], _WORD] | Annotated[PeriodIn, _GROUP], Discriminator(_kind)] = (
        "natural_year"
    )
    sampling: Annotated[Annotated[Literal["all"], _WORD] | Annotated[SamplingIn, _GROUP], Discriminator(_kind)] = "all"
    schedule: Text
    records_from: Day | None = None
    note: str = ""


class RewriteIn(Closed):
    id: Name
    title: Text
    kinds: list[Literal["int", "dec", "date", "ym", "dt", "code", "multi"]]
    pattern: Text
    becomes: Text = "$1"
    replace: dict[str, str] = _DICT
    serial: bool = False
    agree: Texts = _LIST
    units: Texts = _LIST
    note: str = ""


class OtherUnitIn(Closed):
    written: Texts
    factor: Annotated[float, Field(strict=False, gt=0)]
    inferred: bool = False
    fields: Names = _LIST
    note: str = ""


class UnitIn(Closed):
    units: Texts
    written: Texts = _LIST
    others: list[OtherUnitIn] = _LIST
    note: str = ""


class PairIn(Closed):
    id: Name
    title: Text
    pattern: Text
    fields: list[Annotated[list[Name], Field(min_length=2, max_length=2)]]
    headers: dict[str, Texts] = _DICT
    note: str = ""


class RepairsIn(Closed):
    rewrites: list[RewriteIn] = _LIST
    units: list[UnitIn] = _LIST
    pairs: list[PairIn] = _LIST
    title: str = ""
    note: str = ""


class SourceIn(Closed):
    """A vendor's system. ``headers``: form (or ``*``) → header → field; ``codes``: code list or form.field → codes."""

    source_id: Name
    title: Text
    institutions: CodeTexts
    headers: dict[str, dict[str, Name]] = _DICT
    codes: dict[str, dict[str, CodeText | None]] = _DICT
    dates: Texts = _LIST
    note: str = ""


class SettingsIn(Closed):
    shrink_ratio: float = Field(default=0.5, gt=0, le=1)
    payment_working_days: int = Field(default=5, ge=1, le=250)
    difference_days: int = Field(default=31, ge=0, le=366)
    verification_margin: float = Field(default=0.1, gt=0, lt=1)


Model = TypeVar("Model", bound=Closed)


def check(
    kind: type[Model], value: Any, document: Document, path: Path_, where: str, faults: list[Fault]
) -> Model | None:
    """``value`` as ``kind``; every complaint is added to ``faults`` (file, line, remedy).

    With complaints, a stand-in in which what is wrong is put right, so that the rest of the entry is checked as well;
    None when there is none.
    """
    if not isinstance(value, dict):
        problem = f"应是“键: 值”的一组内容，写的是 {_show(value)}"
        remedy = f"按 rules/README.md 写出 {_keys(kind)}"
        faults.append(Fault(document.file, document.line(path), where, problem, remedy))
        return None
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        complaints: list[Any] = [{**complaint, "loc": _as_written(complaint["loc"])} for complaint in error.errors()]
        meant = {_meant(kind, complaint) for complaint in complaints}  # keys that are there, but misspelt
        faults.extend(
            _fault(kind, complaint, document, path, where)
            for complaint in complaints
            if not (complaint["type"] == "missing" and tuple(complaint["loc"]) in meant)
        )
        try:
            return kind.model_validate(stand_in(kind, value, complaints, lambda complaint: _meant(kind, complaint)))
        except ValidationError:
            return None


def _as_written(location: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(part for part in location if part not in (_WORD.tag, _GROUP.tag, _LISTED.tag))


def _meant(kind: type[Closed], complaint: Any) -> Path_ | None:
    """Where the key stands that an unknown key was probably meant to be."""
    if complaint["type"] != "extra_forbidden":
        return None
    *inside, key = complaint["loc"]
    return (*inside, closest(str(key), _known_keys(kind, tuple(inside))))


def _fault(kind: type[Closed], complaint: Any, document: Document, path: Path_, where: str) -> Fault:
    location: Path_ = tuple(complaint["loc"])
    problem, remedy = _in_chinese(kind, complaint, location)
    return Fault(document.file, document.line((*path, *location)), where, problem, remedy)


def _in_chinese(kind: type[Closed], complaint: Any, location: Path_) -> tuple[str, str]:
    key = next((part for part in reversed(location) if isinstance(part, str)), "")
    context = complaint.get("ctx", {})
    sort = complaint["type"]
    if sort == "phqc":
        problem = context["problem"]
        return (f"{key} {problem}" if key and not problem.startswith(key) else problem), context["remedy"]
    if sort == "extra_forbidden":
        known = _known_keys(kind, location[:-1])
        near = closest(key, known)
        return f"不认识的键“{key}”", f"是否应为“{near}”？" if near else f"删去它；这里可写的键：{'、'.join(known)}"
    if sort == "missing":
        return f"缺少“{key}”", f"补上“{key}: …”"
    if sort == "literal_error":
        said = complaint["input"]
        allowed = [word.strip().strip("'") for word in context["expected"].replace(" or ", ", ").split(", ")]
        near = closest(str(said), allowed)
        hint = f"是否应为“{near}”？" if near else ""
        return f"{key} 的值 {_show(said)} 不在允许之列", f"{hint}可写：{'、'.join(allowed)}"
    kinds = {
        "string_type": ("应是文字", "改成文字，必要时加引号"),
        "int_type": ("应是整数", "写一个不带引号的整数"),
        "int_from_float": ("应是整数", "写一个不带小数的整数"),
        "float_type": ("应是数字", "写一个不带引号的数字"),
        "bool_type": ("应是 true 或 false", "写 true 或 false，不加引号"),
        "list_type": ("应是一个列表", "写成 [甲, 乙] 或每行一个“- 甲”"),
        "dict_type": ("应是“键: 值”的一组内容", "写成 {键: 值}"),
        "model_type": ("应是“键: 值”的一组内容", "写成 {键: 值}"),
    }
    said, remedy = kinds.get(sort, (f"不合要求（{complaint['msg']}）", "按 rules/README.md 的说明改写"))
    return f"{key} {said}，写的是 {_show(complaint['input'])}", remedy


def _known_keys(kind: type[Closed], inside: Path_) -> list[str]:
    """The keys allowed at ``inside`` of an entry of this kind (nested models: required, examples, per_field …)."""
    nested: dict[Any, type[Closed]] = {
        "required": RequiredIn,
        "examples": ExamplesIn,
        "per_field": PerFieldIn,
        "suggestion": SuggestionIn,
        "other_of": OtherOfIn,
        "repeats": RepeatsIn,
        "rewrites": RewriteIn,
        "units": UnitIn,
        "others": OtherUnitIn,
        "pairs": PairIn,
    }
    if kind is SchemeIn:
        nested |= {"rules": RuleChoiceIn, **dict.fromkeys(("only", "include", "exclude"), SelectorIn)}
        nested |= {"weights": WeightsIn, "pass_lines": PassLinesIn}
    if kind is PlanIn:
        nested |= {"period": PeriodIn, "sampling": SamplingIn}
    if kind is ProfileIn:
        nested |= {"required": RequirementIn, "params": ParameterValueIn, "applies_to": AppliesToIn}
    for part in inside:
        kind = nested.get(part, kind)
    return [info.alias or name for name, info in kind.model_fields.items()]


def _keys(kind: type[Closed]) -> str:
    return "、".join(info.alias or name for name, info in kind.model_fields.items() if info.is_required())


def _show(value: Any) -> str:
    if value is None:
        return "空值"
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= 40 else text[:37] + "…"
