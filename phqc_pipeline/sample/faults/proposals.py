"""Ways to break a rule on one record: from the rule's own failing examples, and for generic rules by what they ask.

Belongs here: proposals, that is, which cells to write and on what kind of record. Does not belong here: trying them
(``injection``) or saying whether they work (``judge``): a proposal may well fail, and then another is taken.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from dataclasses import field as attribute
from datetime import date, datetime, timedelta
from typing import Any

from phqc_pipeline.catalogue import Catalogue, Field, Form, RuleCheck
from phqc_pipeline.sample.chance import Chance

Row = Mapping[str, Any]
Written = Any  # what a clerk writes into a cell, or a function of the row giving that
IDENTITY = frozenset({"record_id", "archive_no", "person_name", "id_card_no", "birth_date", "institution_code"})
_EXAMPLE_TODAY = date(2024, 12, 31)


@dataclass(frozen=True)
class Proposal:
    """Cells to write on a record that fits: ``age`` (when served), ``age_today``, ``sex``, ``filled`` columns."""

    cells: Mapping[str, Written]
    age: int | None = None
    age_today: int | None = None
    sex: str | None = None
    filled: tuple[str, ...] = ()
    where: Callable[[Row], bool] | None = attribute(default=None, compare=False)


@dataclass(frozen=True)
class Setting:
    """What proposals may need to know: the sample's day and things that must not be used twice."""

    cat: Catalogue
    today: date
    chance: Chance
    serial: Callable[[], int]  # a number not given before in this sample


def proposals(check: RuleCheck, form: Form, setting: Setting) -> list[Proposal]:
    """Ways to violate one check, the simplest first."""
    rule = check.rule
    if rule.per_field is not None:
        recipe = _FIELD_RECIPES.get(rule.rule_id)
        if recipe:
            return list(recipe(form.field(check.field), form, check, setting))
    elif rule.rule_id in _RECORD_RECIPES:
        return list(_RECORD_RECIPES[rule.rule_id](form, setting))
    return list(_from_examples(check, form, setting))


# --- from examples ------------------------------------------------------------------------------------------------


def _from_examples(check: RuleCheck, form: Form, setting: Setting) -> Iterator[Proposal]:
    """Each failing example, with its dates moved so that one of them falls on the record's own, and what it leaves
    empty either kept as it is or emptied."""
    examples = [one.values for one in check.rule.fail_examples]
    order = setting.chance.order(len(examples))
    for n in order[:4]:
        values = {name: value for name, value in examples[int(n)].items() if name not in ("form", "field", "note")}
        for anchor in ("service", "today", "birth", "none"):
            for emptied in (False, True):
                made = _from_example(values, anchor, emptied, check, form, setting)
                if made is not None:
                    yield made


def _from_example(
    values: Mapping[str, Any], anchor: str, emptied: bool, check: RuleCheck, form: Form, setting: Setting
) -> Proposal | None:
    served = values.get("service_date", values.get(form.service_date))
    born = values.get("birth_date")
    if (anchor == "service" and not isinstance(served, date)) or (anchor == "birth" and not isinstance(born, date)):
        return None
    dated = any(isinstance(value, date) or _looks_dated(value) for value in values.values())
    if anchor == "today" and not dated:
        return None
    given = dict(values)
    cells: dict[str, Written] = {}
    own = {str(given[name]): name for name in IDENTITY | {"phone"} if given.get(name) is not None}
    for name, value in given.items():
        target = form.service_date if name == "service_date" else name
        if not form.has(target) or name in IDENTITY or name == "sex_code":
            continue
        if (anchor == "service" and target == form.service_date) or own.get(str(value)) == name:
            continue
        if str(value) in own and own[str(value)] != name and value is not None:
            cells[target] = _own(own[str(value)])
        else:
            cells[target] = _moved(value, anchor, served, born, given.get("today"), form, setting)
    if emptied:
        kept = {form.service_date, "sex_code", *IDENTITY, *cells}
        cells |= {name: None for name in check.reads if name not in kept and form.has(name)}
    if not cells:
        return None
    ages = {name: int(given[name]) for name in ("age", "age_today") if given.get(name) is not None}
    return Proposal(cells, age=ages.get("age"), age_today=ages.get("age_today"), sex=given.get("sex_code"))


def _own(name: str) -> Written:
    return lambda row: row[name]


def _looks_dated(value: Any) -> bool:
    return isinstance(value, str) and re.match(r"\d{4}-\d{2}", value) is not None


def _moved(value: Any, anchor: str, served: Any, born: Any, today: Any, form: Form, setting: Setting) -> Written:
    """A value as it stands, or a date moved by as much as its anchor lies from the record's own date."""
    moment = _moment(value)
    if moment is None or anchor == "none":
        return value
    if anchor == "today":
        return moment + _between(today if isinstance(today, date) else _EXAMPLE_TODAY, setting.today)
    own, meant = (form.service_date, served) if anchor == "service" else ("birth_date", born)
    return lambda row: None if row[own] is None else moment + _between(meant, row[own])


def _between(start: date, end: date) -> timedelta:
    """From one day to another, or, where both have a time, from one moment to another."""
    if isinstance(start, datetime) and isinstance(end, datetime):
        return end - start
    return timedelta(days=end.toordinal() - start.toordinal())


def _moment(value: Any) -> date | datetime | None:
    if isinstance(value, date):
        return value
    if not _looks_dated(value):
        return None
    text = value if len(value) != 7 else value + "-01"
    try:
        return datetime.fromisoformat(text) if len(text) > 10 else date.fromisoformat(text)
    except ValueError:
        return None


# --- field rules --------------------------------------------------------------------------------------------------


def _blank(field: Field, form: Form, check: RuleCheck, setting: Setting) -> Iterator[Proposal]:
    """COM-C-013: empty where it is required, making it required if it is not."""
    if field.required == "always":
        yield Proposal({field.name: None}, filled=(field.name,))
        return
    yield Proposal({field.name: None}, filled=(field.name,))
    for cells in _required(field.required_when or "", form, setting):
        yield Proposal({**cells, field.name: None})
    age = re.search(r"age >= (\d+)", field.required_when or "")
    if age:
        yield Proposal({field.name: None}, age=int(age[1]) + 5)


def _required(condition: str, form: Form, setting: Setting) -> Iterator[dict[str, Written]]:
    """Cells that make a simple condition hold."""
    for name, code in re.findall(r"(\w+) = '(\w+)'", condition):
        yield {name: code}
    for name, codes in re.findall(r"\b(?!not\b)(\w+) in \(([^)]*)\)", condition):
        yield {name: re.findall(r"'(\w+)'", codes)[0]}
    for code, name in re.findall(r"'(\w+)' in (\w+)", condition):
        yield {name: [code]}
    for name in re.findall(r"(\w+) is not null", condition):
        yield {name: _plausible(form.field(name), setting)}
    for name in re.findall(r"(\w+) is null", condition):
        yield {name: None}
    for name, code in re.findall(r"(\w+) <> '(\w+)'", condition):
        others = [one for one in setting.cat.codes[form.field(name).codes or ""].by_code if one != code]
        yield {name: others[-1]}


def _other_unnamed(field: Field, form: Form, check: RuleCheck, setting: Setting) -> Iterator[Proposal]:
    """COM-C-011: 其他 chosen, not said what."""
    if field.other_of is None:
        return
    parent = form.field(field.other_of.field)
    code: Written = field.other_of.code
    yield Proposal({parent.name: [code] if parent.kind == "multi" else code, field.name: None})


def _placeholder(field: Field, form: Form, check: RuleCheck, setting: Setting) -> Iterator[Proposal]:
    word = setting.chance.one(
        ["测试", "不知道", "..."] if field.personal or field.role else ["测试", "不知道", "111", "test"]
    )
    yield Proposal({field.name: word}, filled=(field.name,))
    yield Proposal({field.name: word})


def _no_phone(field: Field, form: Form, check: RuleCheck, setting: Setting) -> Iterator[Proposal]:
    digits = setting.serial()
    yield Proposal({field.name: f"13{digits % 10**8:08d}"[:10]})
    yield Proposal({field.name: "没有电话"})


def _fake_phone(field: Field, form: Form, check: RuleCheck, setting: Setting) -> Iterator[Proposal]:
    """A number off the list; each used a few times only, or it would hang on too many archives (UNI-U-006)."""
    fakes = (
        sorted(setting.cat.codes["CL_FAKE_PHONE"].by_code) if "CL_FAKE_PHONE" in setting.cat.codes else ["13800000000"]
    )
    yield Proposal({field.name: fakes[setting.serial() % len(fakes)]})


def _no_date(field: Field, form: Form, check: RuleCheck, setting: Setting) -> Iterator[Proposal]:
    texts = ["2023-13-05", "2024-02-30", "前年春天", "2023年五月", "23/13/2024"]
    yield Proposal({field.name: setting.chance.one(texts)}, filled=(field.name,))
    yield Proposal({field.name: "2023-13-05"})


def _no_number(field: Field, form: Form, check: RuleCheck, setting: Setting) -> Iterator[Proposal]:
    yield Proposal({field.name: setting.chance.one(["一百多", "偏高", "约6", "1.2.5", "正常"])}, filled=(field.name,))
    yield Proposal({field.name: "偏高"})


def _no_code(field: Field, form: Form, check: RuleCheck, setting: Setting) -> Iterator[Proposal]:
    word = setting.chance.one(["88", "X", "其它情况未列"])
    if field.kind == "multi":
        yield Proposal({field.name: lambda row: ",".join([*(row[field.name] or []), word])}, filled=(field.name,))
    yield Proposal({field.name: word}, filled=(field.name,))
    yield Proposal({field.name: word})


def _not_alone(field: Field, form: Form, check: RuleCheck, setting: Setting) -> Iterator[Proposal]:
    codes = list(setting.cat.codes[field.codes or ""].by_code)
    others = [code for code in codes if code not in field.exclusive]
    for other in (others[0], others[len(others) // 2], others[-1]):
        yield Proposal({field.name: [field.exclusive[0], other]})


def _beyond_hard(field: Field, form: Form, check: RuleCheck, setting: Setting) -> Iterator[Proposal]:
    low, high = field.hard or (None, None)
    step = 1 if field.kind == "int" else 10 ** -(field.scale or 0)
    if high is not None:
        yield Proposal({field.name: _number(high + step * 3, field)}, filled=(field.name,))
        yield Proposal({field.name: _number(high + step * 3, field)})
    if low is not None:
        yield Proposal({field.name: _number(low - step, field)}, filled=(field.name,))
        yield Proposal({field.name: _number(low - step, field)})


def _beyond_soft(field: Field, form: Form, check: RuleCheck, setting: Setting) -> Iterator[Proposal]:
    """Rare but possible: beyond the soft range, within the hard one."""
    low, high = field.soft or (None, None)
    hard_low, hard_high = field.hard or (None, None)
    step = 1 if field.kind == "int" else 10 ** -(field.scale or 0)
    found = []
    if high is not None and (hard_high is None or high + step <= hard_high):
        found.append(high + step)
    if low is not None and (hard_low is None or low - step >= hard_low):
        found.append(low - step)
    for filled in ((field.name,), ()):
        for value in found:
            yield Proposal({field.name: _number(value, field)}, filled=filled)


def _garbled(field: Field, form: Form, check: RuleCheck, setting: Setting) -> Iterator[Proposal]:
    """Spaces around, full-width spaces inside, characters lost in decoding. Keys only get a space, which is trimmed."""
    key = (
        field.role in ("identifier", "phone") or field.personal is not None or field.role == "signature" or field.codes
    )
    kind = 0 if key else setting.chance.whole(0, 3)
    plausible = _plausible(field, setting)

    def spoil(row: Row) -> str:
        word = str(row[field.name] or plausible)
        half = max(len(word) // 2, 1)
        return [f"{word} ", f" {word}", f"{word[:half]}\u3000{word[half:]}", f"{word[:half]}\ufffd{word[half:]}"][kind]

    yield Proposal({field.name: spoil}, filled=(field.name,))
    if field.name != "institution_code":  # a row of another institution is not taken
        yield Proposal({field.name: spoil})


def _too_fine(field: Field, form: Form, check: RuleCheck, setting: Setting) -> Iterator[Proposal]:
    plausible = _plausible(field, setting)
    scale = 0 if field.kind == "int" else field.scale or 0
    tail = setting.chance.one(["25", "5", "75"])

    def refine(row: Row) -> str:
        value = float(row[field.name] if row[field.name] is not None else plausible)
        return f"{value:.{scale}f}{'.' if scale == 0 else ''}{tail}"

    yield Proposal({field.name: refine}, filled=(field.name,))
    yield Proposal({field.name: refine})


def _written_oddly(field: Field, form: Form, check: RuleCheck, setting: Setting) -> Iterator[Proposal]:
    """What the cell says, written in a way that has a single sense but has to be put right on reading."""
    plausible = _plausible(field, setting)
    kind = setting.chance.whole(0, 1)

    def odd(row: Row) -> str:
        value = row[field.name] if row[field.name] not in (None, []) else plausible
        if field.kind == "multi":
            return f"[{','.join(value)}]"
        if field.kind == "code":
            return f"[{value}]" if kind else f"'{value}"
        if field.is_numeric:
            return f"{_number(float(value), field)}{field.unit}" if kind and field.unit else f"'{_number(value, field)}"
        if field.kind == "date" and kind:
            return f"{value:%Y_%m_%d}"  # a day number of Excel's would do as well, but is regular in a workbook
        return f"'{value}"

    yield Proposal({field.name: odd}, filled=(field.name,))
    yield Proposal({field.name: odd})


def _number(value: float, field: Field) -> str:
    return f"{value:.{0 if field.kind == 'int' else field.scale or 0}f}"


def _plausible(field: Field, setting: Setting) -> Any:
    """Something a field might say that is empty in all clean records."""
    if field.kind in ("code", "multi") or field.codes:
        first = next(iter(setting.cat.codes[field.codes or ""].by_code))
        return [first] if field.kind == "multi" else first
    if field.is_date:
        return setting.today - timedelta(days=400)
    if field.is_numeric:
        low, high = field.soft or field.hard or (1, 9)
        low, high = (1 if low is None else low), (9 if high is None else high)
        return round(low + (high - low) * 0.4, 0 if field.kind == "int" else min(field.scale or 0, 1))
    return "阿司匹林肠溶片" if field.name.endswith("_name") else "见门诊病历"


_FieldRecipe = Callable[[Field, Form, RuleCheck, Setting], Iterator[Proposal]]
_FIELD_RECIPES: Mapping[str, _FieldRecipe] = {
    "COM-C-011": _other_unnamed,
    "COM-C-012": _placeholder,
    "COM-C-013": _blank,
    "COM-F-009": _no_phone,
    "COM-F-010": _fake_phone,
    "COM-F-011": _no_date,
    "COM-F-012": _no_code,
    "COM-F-013": _not_alone,
    "COM-F-014": _beyond_hard,
    "COM-F-015": _beyond_soft,
    "COM-F-019": _garbled,
    "COM-F-020": _too_fine,
    "COM-F-021": _no_number,
    "COM-F-022": _written_oddly,
}


# --- rules on identity --------------------------------------------------------------------------------------------
# Their examples name numbers of their own; used as they stand, one made-up number would hang on many people.

_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)


def check_digit(body: str) -> str:
    """The eighteenth character of a GB 11643 number from its first seventeen digits."""
    return "10X98765432"[sum(int(digit) * weight for digit, weight in zip(body, _WEIGHTS, strict=True)) % 11]


def _set(**cells: Written) -> Callable[[Form, Setting], Iterator[Proposal]]:
    def made(form: Form, setting: Setting) -> Iterator[Proposal]:
        yield Proposal(
            cells,
            filled=tuple(cells),
            where=lambda row: "id_card_no" not in cells or len(row["id_card_no"] or "") == 18,
        )

    return made


def _without_number(form: Form, setting: Setting) -> Iterator[Proposal]:
    """COM-C-004: no identity number; on a form of infants, of one that by its birth date is none any more."""
    yield from _set(id_card_no=None)(form, setting)
    yield Proposal(
        {"id_card_no": None, "birth_date": lambda row: row[form.service_date] - timedelta(days=400)},
        filled=("birth_date", form.service_date),
    )


def _wrong_check(row: Row) -> str:
    number = row["id_card_no"]
    return number[:17] + ("1" if number[17] != "1" else "3")


def _of_no_county(row: Row) -> str:
    body = "999999" + row["id_card_no"][6:17]
    return body + check_digit(body)


def _rewritten(row: Row) -> str:
    number = row["id_card_no"]
    return f"{number[0]}.{number[1:6]}E+17"


def _of_another_day(row: Row) -> date:
    born: date = row["birth_date"]
    return born - timedelta(days=31)


def _missing_much(form: Form, setting: Setting) -> Iterator[Proposal]:
    """COM-C-010: more than a fifth of what is required is empty; what tells whose record it is stays."""
    kept = {
        *IDENTITY,
        "sex_code",
        "record_status",
        "archive_status",
        form.service_date,
        *form.stage,
        "manage_status",
        "visit_mode_code",
        "class_code",
        "archive_date",
    }
    wanted = [column.name for column in form.fields if column.required == "always" and column.name not in kept]
    for share in (0.5, 0.75, 1.0):
        yield Proposal(dict.fromkeys(wanted[: max(int(len(wanted) * share), 1)]))
    more = [
        column.name
        for column in form.fields
        if column.required == "always"
        and column.name
        not in {"record_id", "archive_no", "person_name", "id_card_no", "birth_date", form.service_date, *form.stage}
    ]
    yield Proposal(dict.fromkeys(more))


def _aged(years: int) -> Callable[[Form, Setting], Iterator[Proposal]]:
    """Born ``years`` before the snapshot's year, on the day of the year that stands there."""

    def made(form: Form, setting: Setting) -> Iterator[Proposal]:
        born = setting.today.year - years
        yield Proposal(
            {"birth_date": lambda row: row["birth_date"].replace(year=born, day=min(row["birth_date"].day, 28))},
            filled=("birth_date",),
        )

    return made


def _young(years: int) -> Callable[[Form, Setting], Iterator[Proposal]]:
    """Born so many years before the snapshot's year, by the identity number as well."""

    def made(form: Form, setting: Setting) -> Iterator[Proposal]:
        def born(row: Row) -> date:
            given: date = row["birth_date"]
            return given.replace(year=setting.today.year - years, day=min(given.day, 28))

        def number(row: Row) -> str:
            old = row["id_card_no"]
            body = f"{old[:6]}{born(row):%Y%m%d}{old[14:17]}"
            return body + check_digit(body)

        yield Proposal(
            {"birth_date": born, "id_card_no": number},
            filled=("birth_date", "id_card_no"),
            where=lambda row: len(row["id_card_no"]) == 18,
        )

    return made


_RECORD_RECIPES: Mapping[str, Callable[[Form, Setting], Iterator[Proposal]]] = {
    "COM-C-001": _set(record_id=None),
    "COM-C-002": _set(archive_no=None),
    "COM-C-003": _set(person_name=None),
    "COM-C-004": _without_number,
    "COM-C-005": _set(sex_code=None),
    "COM-C-006": _set(birth_date=None),
    "COM-C-007": _set(institution_code=None),
    "COM-C-010": _missing_much,
    "COM-F-001": _set(archive_no=lambda row: row["archive_no"][:16]),
    "COM-F-002": _set(archive_no=lambda row: "659999" + row["archive_no"][6:]),
    "COM-F-003": _set(archive_no=lambda row: row["archive_no"][:6] + "998" + row["archive_no"][9:]),
    "COM-F-004": _set(id_card_no=lambda row: row["id_card_no"][:17]),
    "COM-F-005": _set(id_card_no=_wrong_check),
    "COM-F-006": _set(id_card_no=lambda row: row["id_card_no"][:6] + row["id_card_no"][8:17]),
    "COM-F-007": _set(id_card_no=_of_no_county),
    "COM-F-008": _set(id_card_no=_rewritten),
    "COM-F-018": _set(person_name=lambda row: row["person_name"] + "2"),
    "COM-L-001": _set(birth_date=_of_another_day),
    "COM-L-002": _set(sex_code=lambda row: "2" if row["sex_code"] == "1" else "1"),
    "COM-L-003": _aged(122),
    "COM-L-004": _aged(103),
    "CPD-L-007": _young(29),
    "PRG-L-010": _set(sex_code="1"),
}
