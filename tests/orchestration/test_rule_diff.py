"""When a comparison of rules must ask the cross rules anew."""

from __future__ import annotations

import dataclasses

from phqc_pipeline.catalogue import load_catalogue
from phqc_pipeline.home import DEFAULT_RULES
from phqc_pipeline.orchestration.rule_diff import Version, cross_part


def test_profile_and_scheme_of_the_plan_are_part_of_what_cross_rules_depend_on() -> None:
    cat = load_catalogue(DEFAULT_RULES)
    scheme = cat.schemes["default"]
    local = dataclasses.replace(scheme, profile="altay_city")  # changes HTN-T-003, a cross rule
    fewer = dataclasses.replace(scheme, rules=("HTN-T-003",))
    cheaper = dataclasses.replace(scheme, deductions={"严重": 1, "一般": 1, "提示": 0})  # weighs, asks nothing else
    schemes = [cat.schemes, *({**cat.schemes, "default": one} for one in (local, fewer, cheaper))]
    plain, with_profile, with_fewer, weighed = (
        cross_part(Version(dataclasses.replace(cat, schemes=some))) for some in schemes
    )
    assert len({plain, with_profile, with_fewer}) == 3
    assert weighed == plain
