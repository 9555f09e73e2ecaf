"""Local figures: profiles of a province, county or institution that override parameters and requirements.

Belongs here: ``rules/profiles`` read and checked, and the catalogue with a profile in force. Does not belong here: the
rules and forms themselves, which a profile never touches; who chooses a profile (a scheme names it).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import date
from typing import Any

from phqc_pipeline.catalogue.expressions import ExpressionError, parse_expression
from phqc_pipeline.catalogue.faults import CatalogueError, closest, did_you_mean
from phqc_pipeline.catalogue.fingerprint import catalogue_fingerprint
from phqc_pipeline.catalogue.instantiate import compile_conditions, instantiate
from phqc_pipeline.catalogue.model import (
    Catalogue,
    Field,
    Form,
    LocalValue,
    Override,
    Place,
    Plan,
    Profile,
    Requirement,
    Rule,
    Scheme,
)
from phqc_pipeline.catalogue.reading import Reader, label, place_of
from phqc_pipeline.catalogue.ruleset import Written
from phqc_pipeline.catalogue.schema import ProfileIn, RequirementIn
from phqc_pipeline.catalogue.yaml_lines import Document

_NUMBER = (int, float)


def with_profile(cat: Catalogue, profile_id: str) -> Catalogue:
    """The catalogue as the profile (and what it extends) has it: overridden parameters and requirements, other
    fingerprints, each overridden value knowing where it comes from.

    LookupError, with the nearest id, when there is no such profile.
    """
    if profile_id not in cat.profiles:
        near = closest(profile_id, cat.profiles)
        known = f"现有：{'、'.join(cat.profiles)}" if cat.profiles else "规则目录里没有 profiles/"
        raise LookupError(f"没有本地参数 {profile_id}。" + (f"是否应为 {near}？" if near else known))
    chain = lineage(cat.profiles, profile_id)
    rules = [_overridden_rule(rule, chain) for rule in cat.rules]
    forms = {form_id: _overridden_form(form, chain) for form_id, form in cat.forms.items()}
    reader = Reader(cat.directory)
    local = replace(cat, forms=forms, rules=(), checks_by_form={})
    local = replace(local, forms=compile_conditions(reader, local))
    final, checks = instantiate(reader, [_written(rule) for rule in rules], local)
    if reader.faults:
        raise CatalogueError(reader.faults)
    said = [[profile.params, profile.required] for profile in chain]
    return replace(
        local,
        rules=tuple(final),
        checks_by_form=checks,
        profile=cat.profiles[profile_id],
        fingerprint=catalogue_fingerprint([cat.fingerprint, *said]),
    )


def for_plan(cat: Catalogue, plan_id: str) -> Catalogue:
    """The catalogue a plan judges by: with the profile that its scheme names, or as it is."""
    profile_id = cat.schemes[cat.plans[plan_id].scheme].profile
    return cat if profile_id is None else with_profile(cat, profile_id)


def lineage(profiles: Mapping[str, Profile], profile_id: str) -> list[Profile]:
    """The profile after those it extends, the most general first; a circle ends where it closes."""
    found: list[Profile] = []
    following: str | None = profile_id
    while following is not None and following in profiles and profiles[following] not in found:
        found.insert(0, profiles[following])
        following = profiles[following].extends
    return found


def read_profiles(reader: Reader, cat: Catalogue) -> dict[str, Profile]:
    """Every profile of ``profiles/*.yaml``, checked against the rules and forms of ``cat``."""
    found: dict[str, Profile] = {}
    documents: dict[str, Document] = {}
    for document in reader.folder("profiles"):
        name = document.file.rsplit("/", 1)[-1].removesuffix(".yaml")
        source = reader.check(ProfileIn, document.data, document, (), f"本地参数 {name}")
        if source is None:
            reader.broken.add(label(document.data, ["profile_id"]) or name)
            continue
        if source.profile_id != name:
            problem = f"profile_id 是 {source.profile_id}，文件名却是 {name}.yaml"
            remedy = f"把文件改名为 {source.profile_id}.yaml，或改 profile_id"
            reader.fault(document, ("profile_id",), f"本地参数 {name}", problem, remedy)
        found[source.profile_id] = _profile(source, document)
        documents[source.profile_id] = document
    for profile_id, profile in found.items():
        _Check(reader, cat, documents[profile_id], profile).all(found)
    return found


def check_choice(
    reader: Reader, schemes: Mapping[str, Scheme], plans: Mapping[str, Plan], profiles: Mapping[str, Profile]
) -> None:
    """A scheme must name a profile there is, and a plan judge only institutions that its profile is meant for."""
    for scheme in schemes.values():
        if scheme.profile is not None and scheme.profile not in profiles and scheme.profile not in reader.broken:
            remedy = did_you_mean(scheme.profile, profiles, "改成 profiles/ 里有的编号，或去掉 profile")
            reader.fault(scheme.place, (), f"方案 {scheme.scheme_id}", f"没有本地参数 {scheme.profile}", remedy)
    for plan in plans.values():
        chosen = schemes.get(plan.scheme)
        profile = profiles.get(chosen.profile or "") if chosen else None
        strangers = [code for code in plan.institutions or () if profile and not profile.is_meant_for(code)]
        if strangers and profile:
            problem = f"机构 {'、'.join(strangers)} 不在方案所用本地参数 {profile.profile_id} 的适用范围内"
            remedy = "给这些机构另立方案和计划，或改 profiles 里的 applies_to"
            reader.fault(plan.place, (), f"计划 {plan.plan_id}", problem, remedy)


class _Check:
    """One profile against the catalogue: every name must be there, every value of its kind, every rule compile."""

    def __init__(self, reader: Reader, cat: Catalogue, document: Document, profile: Profile) -> None:
        self.reader = reader
        self.cat = cat
        self.document = document
        self.profile = profile
        self.where = f"本地参数 {profile.profile_id}"

    def all(self, profiles: Mapping[str, Profile]) -> None:
        self._extends(profiles)
        for region in self.profile.regions:
            if not region.isdigit():
                self._fault(("applies_to", "regions"), f"区划“{region}”不是数字", "写区划代码的前几位，如 '6543'")
        if self.profile.level == "institution" and not self.profile.institutions:
            self._fault(("level",), "institution 一级没有写适用的机构", "补上 applies_to: {institutions: [机构编码]}")
        for rule_id, values in self.profile.params.items():
            self._params(rule_id, values)
        for form_id, fields in self.profile.required.items():
            self._required(form_id, fields)

    def _extends(self, profiles: Mapping[str, Profile]) -> None:
        wanted = self.profile.extends
        if wanted is None or wanted in self.reader.broken:
            return
        if wanted not in profiles:
            remedy = did_you_mean(wanted, profiles, "改成 profiles/ 里有的编号，或去掉 extends")
            self._fault(("extends",), f"没有本地参数 {wanted}", remedy)
        elif self.profile in lineage(profiles, wanted):
            self._fault(("extends",), f"绕一圈又回到自己（{wanted}）", "去掉其中一个 extends")

    def _params(self, rule_id: str, values: Mapping[str, LocalValue]) -> None:
        versions = self.cat.versions(rule_id)
        if not versions:
            if rule_id not in self.reader.broken:
                remedy = did_you_mean(rule_id, {rule.rule_id for rule in self.cat.rules}, "改成规则目录里有的编号")
                self._fault(("params", rule_id), f"没有规则 {rule_id}", remedy)
            return
        known = {name: value for rule in versions for name, value in rule.params.items()}
        for name, local in values.items():
            path = ("params", rule_id, name)
            if name not in known:
                remedy = did_you_mean(name, known, f"{rule_id} 的参数：{'、'.join(known) or '（没有）'}")
                self._fault(path, f"规则 {rule_id} 没有参数 {name}", remedy)
            elif not _same_kind(known[name], local.value):
                problem = f"{rule_id} 的参数 {name} 写成了{_shown(local.value)}，默认值是{_shown(known[name])}"
                self._fault(path, problem, "写同一种值（数、文字、日期或文字的列表）")
            else:
                self._compiles(path, [rule for rule in versions if name in rule.params], name, local.value)

    def _compiles(self, path: tuple[Any, ...], versions: list[Rule], name: str, value: Any) -> None:
        """A value of the right kind can still make no sense: a code that is not in the list."""
        for rule in versions:
            for form_id in rule.form_ids if rule.carrier == "pandera" else ():
                try:
                    for text, field in _texts(self.cat, rule, form_id):
                        params = {**rule.params, name: value}
                        form = self.cat.form(form_id)
                        parse_expression(text, form, self.cat, params, field=field, optional=rule.optional_columns)
                except ExpressionError as error:
                    for fault in error.faults:
                        self._fault(path, f"规则 {rule.rule_id} 不能用这个值：{fault.problem}", fault.remedy)
                    return

    def _required(self, form_id: str, fields: Mapping[str, LocalValue]) -> None:
        form = self.cat.forms.get(form_id)
        if form is None:
            if form_id not in self.reader.broken:
                remedy = did_you_mean(form_id, self.cat.forms, "改成 forms/ 里有的表单编号")
                self._fault(("required", form_id), f"没有表单 {form_id}", remedy)
            return
        for name, local in fields.items():
            path = ("required", form_id, name)
            if not form.has(name):
                if name not in self.reader.broken:
                    remedy = did_you_mean(name, form.by_name, "写该表单已有的字段名")
                    self._fault(path, f"表单 {form_id} 没有字段 {name}", remedy)
            elif local.value.when:
                try:
                    parse_expression(local.value.when, form, self.cat)
                except ExpressionError as error:
                    for fault in error.faults:
                        self._fault(path, f"必填条件：{fault.problem}", fault.remedy)

    def _fault(self, path: tuple[Any, ...], problem: str, remedy: str) -> None:
        self.reader.fault(self.document, path, self.where, problem, remedy)


def _profile(source: ProfileIn, document: Document) -> Profile:
    params = {
        rule_id: {
            name: LocalValue(one.value, one.why or "", place_of(document, ("params", rule_id, name)))
            for name, one in values.items()
        }
        for rule_id, values in source.params.items()
    }
    required = {
        form_id: {
            name: LocalValue(_requirement(one), one.why or "", place_of(document, ("required", form_id, name)))
            for name, one in fields.items()
        }
        for form_id, fields in source.required.items()
    }
    return Profile(
        profile_id=source.profile_id,
        title=source.title,
        level=source.level,
        basis=source.basis,
        verified=source.verified,
        extends=source.extends,
        regions=tuple(source.applies_to.regions),
        institutions=tuple(source.applies_to.institutions),
        params=params,
        required=required,
        note=source.note,
        place=place_of(document, ()),
    )


def _requirement(source: RequirementIn) -> Requirement:
    if source.when is not None:
        return Requirement("when", source.when)
    return Requirement("always" if source.is_ == "Y" else "never")


def _overridden_rule(rule: Rule, chain: list[Profile]) -> Rule:
    overrides: dict[str, Override] = {}
    for profile in chain:
        for name, local in profile.params.get(rule.rule_id, {}).items():
            if name in rule.params:
                overrides[name] = _override(local, rule.params[name], profile)
    if not overrides:
        return rule
    values = {name: override.value for name, override in overrides.items()}
    return replace(rule, params={**rule.params, **values}, overrides=overrides)


def _overridden_form(form: Form, chain: list[Profile]) -> Form:
    local = {
        name: (value, profile) for profile in chain for name, value in profile.required.get(form.form_id, {}).items()
    }
    if not local:
        return form
    fields = [_overridden_field(field, *local[field.name]) if field.name in local else field for field in form.fields]
    return replace(form, fields=tuple(fields))


def _overridden_field(field: Field, local: LocalValue, profile: Profile) -> Field:
    wanted: Requirement = local.value
    return replace(
        field,
        required=wanted.required,
        required_when=wanted.when,
        required_note="",
        condition_reads=frozenset(),
        required_override=_override(local, Requirement(field.required, field.required_when), profile),
    )


def _override(local: LocalValue, default: Any, profile: Profile) -> Override:
    return Override(local.value, default, profile.profile_id, local.why or profile.basis, local.place)


def _written(rule: Rule) -> Written:
    """A rule that was read before, to be brought to its forms again."""
    place = rule.place or Place()
    return Written(rule, Document(place.file, None, {(): place.line}), ())


def _texts(cat: Catalogue, rule: Rule, form_id: str) -> Iterator[tuple[str, Field | None]]:
    """The expressions of a rule on one form, each with its field if the rule is one of a field."""
    for check in cat.checks(form_id):
        field = cat.form(form_id).field(check.field) if rule.per_field and check.rule is rule else None
        if check.rule is not rule:
            continue
        yield from ((text, field) for text in (rule.when, rule.assertion, rule.violated) if text)


def _same_kind(default: Any, value: Any) -> bool:
    if isinstance(default, list) or isinstance(value, list):
        both = isinstance(default, list) and isinstance(value, list) and bool(value)
        return both and all(_same_kind(default[0], member) for member in value)
    if isinstance(default, bool) or isinstance(value, bool):
        return isinstance(default, bool) and isinstance(value, bool)
    return any(isinstance(default, kind) and isinstance(value, kind) for kind in (_NUMBER, str, date))


def _shown(value: Any) -> str:
    return f"“{value}”" if isinstance(value, str) else "空值" if value is None else f" {value}"
