"""Schemes: which rules are judged, what a violation costs, when a record passes; each may build on another.

Belongs here: ``rules/schemes`` as checked objects, with what ``extends`` brings. Does not belong here: scoring
(``warehouse``), plans (``programme``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from phqc_pipeline.catalogue.faults import did_you_mean
from phqc_pipeline.catalogue.model import DIMENSIONS, SEVERITIES, Rule, Scheme
from phqc_pipeline.catalogue.reading import Reader, label, place_of
from phqc_pipeline.catalogue.schema import RuleChoiceIn, SchemeIn, SelectorIn
from phqc_pipeline.catalogue.yaml_lines import Document

#: A rule on one of its forms: what a scheme chooses among.
Pair = tuple[str, str]


@dataclass(frozen=True)
class _Source:
    """A scheme as written, and where."""

    said: SchemeIn
    document: Document

    @property
    def where(self) -> str:
        return f"方案 {self.said.scheme_id}"


def read_schemes(reader: Reader, rules: Sequence[Rule], forms: Iterable[str]) -> dict[str, Scheme]:
    """Every scheme of ``schemes/*.yaml`` by its id, with what it inherits. ``forms``: ids of forms and reports."""
    sources: dict[str, _Source] = {}
    for document in reader.folder("schemes"):
        where = f"方案 {label(document.data, ['scheme_id'])}"
        said = reader.check(SchemeIn, document.data, document, (), where)
        if said is None:
            reader.broken.add(label(document.data, ["scheme_id"]))
        elif said.scheme_id in sources:
            first = sources[said.scheme_id].document.file
            problem, remedy = f"方案编号 {said.scheme_id} 已用于 {first}", "方案编号只用一次"
            reader.fault(document, ("scheme_id",), where, problem, remedy)
        else:
            sources[said.scheme_id] = _Source(said, document)
    built = _Build(reader, rules, frozenset(forms), sources)
    for scheme_id in sources:
        built.scheme(scheme_id)
    return {scheme_id: built.done[scheme_id] for scheme_id in sources if scheme_id in built.done}


class _Build:
    """Schemes in the making: a scheme after the one it extends."""

    def __init__(
        self, reader: Reader, rules: Sequence[Rule], forms: frozenset[str], sources: Mapping[str, _Source]
    ) -> None:
        self.reader = reader
        self.rules = {rule.rule_id: rule for rule in sorted(rules, key=lambda rule: rule.version)}
        self.forms = forms
        self.sources = sources
        self.done: dict[str, Scheme] = {}
        self.pairs = frozenset((rule.rule_id, form_id) for rule in rules for form_id in rule.form_ids)
        self._chosen: dict[str, frozenset[Pair]] = {}
        self._under_way: list[str] = []

    def scheme(self, scheme_id: str) -> Scheme | None:
        """The finished scheme; None when it or what it builds on is faulty."""
        if scheme_id in self.done or scheme_id not in self.sources:
            return self.done.get(scheme_id)
        source = self.sources[scheme_id]
        self._under_way.append(scheme_id)
        parent = self._parent(source)
        self._under_way.pop()
        if source.said.extends is not None and parent is None:
            self.reader.broken.add(scheme_id)
            return None
        self._check_numbers(source)
        self.done[scheme_id] = self._put_together(source, parent)
        return self.done[scheme_id]

    def _parent(self, source: _Source) -> Scheme | None:
        wanted = source.said.extends
        if wanted is None or wanted in self.reader.broken:
            return None
        if wanted in self._under_way:
            circle = " → ".join([*self._under_way[self._under_way.index(wanted) :], wanted])
            self._fault(source, ("extends",), f"继承绕成了圈：{circle}", "去掉其中一个 extends")
            return None
        if wanted not in self.sources:
            remedy = did_you_mean(wanted, self.sources, "改成 schemes/ 里有的方案编号，或去掉 extends")
            self._fault(source, ("extends",), f"没有方案 {wanted}", remedy)
            return None
        return self.scheme(wanted)

    def _put_together(self, source: _Source, parent: Scheme | None) -> Scheme:
        said = source.said
        chosen = self._choose(source, parent)
        lines = {name: points for name, points in said.pass_lines.model_dump().items() if points is not None}
        unscored = said.unscored_dimensions
        if unscored is None:
            unscored = list(parent.unscored_dimensions) if parent else ["真实性"]
        inherits_profile = parent is not None and "profile" not in said.model_fields_set
        return Scheme(
            scheme_id=said.scheme_id,
            title=said.title,
            rules=None if chosen is None else tuple(sorted({rule_id for rule_id, _ in chosen})),
            chosen=None if chosen is None else _by_form(chosen),
            deductions={**(parent.deductions if parent else {}), **said.deductions},
            rule_deductions={**(parent.rule_deductions if parent else {}), **said.rule_deductions},
            dimension_weights={**(parent.dimension_weights if parent else {}), **said.weights.dimensions},
            form_weights={**(parent.form_weights if parent else {}), **said.weights.forms},
            passes_without=self._passes(source, parent),
            pass_lines={**(parent.pass_lines if parent else {}), **lines},
            unscored_dimensions=tuple(unscored),
            profile=parent.profile if parent and inherits_profile else said.profile,
            report_params={**(parent.report_params if parent else {}), **said.report_params},
            extends=said.extends,
            place=place_of(source.document, ()),
        )

    def _passes(self, source: _Source, parent: Scheme | None) -> tuple[str, ...]:
        if source.said.pass_ is None:
            return parent.passes_without if parent else ()
        passes = _passes_without(source.said.pass_)
        if passes is None:
            remedy = "写“无严重”，或“无严重和一般”等：“无”后面是合格记录不得命中的级别"
            self._fault(source, ("pass",), f"看不懂合格条件“{source.said.pass_}”", remedy)
        return passes or ()

    def _choose(self, source: _Source, parent: Scheme | None) -> frozenset[Pair] | None:
        """The pairs of the scheme; None: every rule on every form, those to come included."""
        said, wanted = source.said, source.said.rules
        inherited = self._chosen.get(parent.scheme_id) if parent else None
        if wanted is None:
            chosen = inherited
        elif wanted == "all":
            chosen = None
        elif isinstance(wanted, RuleChoiceIn):
            chosen = self._chosen_from(source, wanted, inherited, bool(parent))
        else:
            listed = [self._pairs_of_id(source, ("rules", index), text) for index, text in enumerate(wanted)]
            chosen = frozenset[Pair]().union(*listed)
        if chosen is not None:
            self._chosen[said.scheme_id] = chosen
        return chosen

    def _chosen_from(
        self, source: _Source, wanted: RuleChoiceIn, inherited: frozenset[Pair] | None, has_parent: bool
    ) -> frozenset[Pair]:
        begin = self.pairs if inherited is None else inherited
        if not has_parent and wanted.include and not wanted.only:
            begin = frozenset()
        if wanted.only:
            begin &= self._selected(source, "only", wanted.only)
        begin |= self._selected(source, "include", wanted.include)
        chosen = begin - self._selected(source, "exclude", wanted.exclude)
        if not chosen and not self.reader.faults:
            self._fault(source, ("rules",), "这样选下来一条规则也没有", "检查 only、include、exclude")
        return chosen

    def _selected(self, source: _Source, key: str, selectors: Sequence[SelectorIn]) -> frozenset[Pair]:
        found: frozenset[Pair] = frozenset()
        for index, selector in enumerate(selectors):
            path = ("rules", key, index)
            self._check_words(source, (*path, "forms"), selector.forms, self.forms, "表单")
            self._check_words(source, (*path, "dimensions"), selector.dimensions, DIMENSIONS, "维度")
            self._check_words(source, (*path, "severities"), selector.severities, SEVERITIES, "级别")
            pairs = self.pairs
            if selector.ids:
                listed = [self._pairs_of_id(source, (*path, "ids"), text) for text in selector.ids]
                pairs = frozenset[Pair]().union(*listed)
            selected = frozenset(pair for pair in pairs if self._meets(pair, selector))
            if not selected and not self.reader.faults:
                self._fault(source, path, "这一条没有选中任何规则", "同一条里写的几项要同时满足；分开写是任一满足")
            found |= selected
        return found

    def _meets(self, pair: Pair, selector: SelectorIn) -> bool:
        rule = self.rules[pair[0]]
        return (
            (not selector.forms or pair[1] in selector.forms)
            and (not selector.dimensions or rule.dimension in selector.dimensions)
            and (not selector.severities or rule.severity in selector.severities)
        )

    def _pairs_of_id(self, source: _Source, path: tuple[Any, ...], text: str) -> frozenset[Pair]:
        """The pairs of one id or of ids alike (``HTN-*``)."""
        found = frozenset(pair for pair in self.pairs if fnmatchcase(pair[0], text))
        known = text in self.rules or any(fnmatchcase(rule_id, text) for rule_id in self.rules)
        if not known and text not in self.reader.broken:
            self._fault(source, path, f"没有规则 {text}", did_you_mean(text, self.rules, "改成规则目录里有的编号"))
        return found

    def _check_numbers(self, source: _Source) -> None:
        said = source.said
        for severity in (*said.deductions, *(() if said.extends else SEVERITIES)):
            if severity not in SEVERITIES or severity not in said.deductions:
                problem = f"扣分的级别应恰为 {'、'.join(SEVERITIES)}，“{severity}”多余或缺少"
                self._fault(source, ("deductions",), problem, "写 deductions: {严重: 10, 一般: 3, 提示: 0}")
        self._check_words(source, ("rule_deductions",), said.rule_deductions, self.rules, "规则")
        self._check_words(source, ("weights", "dimensions"), said.weights.dimensions, DIMENSIONS, "维度")
        self._check_words(source, ("weights", "forms"), said.weights.forms, self.forms, "表单")
        self._check_words(source, ("unscored_dimensions",), said.unscored_dimensions or (), DIMENSIONS, "维度")
        for key, values in (("deductions", said.deductions), ("rule_deductions", said.rule_deductions)):
            if any(points < 0 for points in values.values()):
                self._fault(source, (key,), "扣分不能是负数", "写扣去的分数，例如 3")
        for key, values in (("dimensions", said.weights.dimensions), ("forms", said.weights.forms)):
            if any(factor < 0 for factor in values.values()):
                self._fault(source, ("weights", key), "权重不能是负数", "写倍数，例如 1.5；不计分写 0")
        for name, points in said.pass_lines.model_dump().items():
            if points is not None and not 0 <= points <= 100:
                self._fault(source, ("pass_lines", name), f"达标线 {points} 不在 0 至 100 之间", "写分数，例如 90")

    def _check_words(
        self, source: _Source, path: tuple[Any, ...], words: Iterable[str], known: Iterable[str], kind: str
    ) -> None:
        listed = list(known)
        for word in words:
            if word not in listed and word not in self.reader.broken:
                remedy = did_you_mean(word, listed, f"改成已有的{kind}")
                self._fault(source, (*path, word), f"没有{kind} {word}", remedy)

    def _fault(self, source: _Source, path: tuple[Any, ...], problem: str, remedy: str) -> None:
        self.reader.fault(source.document, path, source.where, problem, remedy)


def _by_form(pairs: Iterable[Pair]) -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for rule_id, form_id in pairs:
        found.setdefault(form_id, set()).add(rule_id)
    return {form_id: frozenset(ids) for form_id, ids in sorted(found.items())}


def _passes_without(text: str) -> tuple[str, ...] | None:
    """``无严重`` → ("严重",); ``无严重和一般`` → both; None if it says something else."""
    if not text.startswith("无"):
        return None
    words = [word for word in re.split(r"[、，,和及]", text[1:]) if word]
    return tuple(words) if words and all(word in SEVERITIES for word in words) else None
