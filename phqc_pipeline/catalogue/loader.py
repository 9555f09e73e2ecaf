"""Loading the catalogue: ``rules/`` read, checked and turned into one ``Catalogue``, or every fault at once.

Belongs here: the order of the steps. Each step goes on as far as it can after a fault, so that one load tells all.
Does not belong here: any step itself (``dictionary``, ``programme``, ``ruleset``, ``instantiate``).
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from phqc_pipeline.catalogue.billing_terms import read_billing
from phqc_pipeline.catalogue.deliveries import read_repairs, read_sources
from phqc_pipeline.catalogue.dictionary import read_codes, read_derived, read_forms
from phqc_pipeline.catalogue.faults import CatalogueError
from phqc_pipeline.catalogue.fingerprint import catalogue_fingerprint
from phqc_pipeline.catalogue.growth import read_growth
from phqc_pipeline.catalogue.indicators import read_indicators, read_services
from phqc_pipeline.catalogue.instantiate import compile_conditions, instantiate
from phqc_pipeline.catalogue.model import Catalogue, RuleCheck
from phqc_pipeline.catalogue.profiles import check_choice, read_profiles
from phqc_pipeline.catalogue.programme import check_file_names, read_plans, read_reports, read_settings
from phqc_pipeline.catalogue.reading import Reader
from phqc_pipeline.catalogue.ruleset import read_rules
from phqc_pipeline.catalogue.schemes import read_schemes
from phqc_pipeline.catalogue.verification import read_verification


def load_catalogue(directory: Path) -> Catalogue:
    """The catalogue in ``directory``; CatalogueError with every fault of every file when it is not sound."""
    with _no_garbage_collection():
        return _load(Path(directory))


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """What loading makes stays; the collector would only walk it again and again, for half the time taken."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _load(directory: Path) -> Catalogue:
    reader = Reader(directory)
    if not reader.check_layout():
        raise CatalogueError(reader.faults)
    codes = read_codes(reader)
    derived = read_derived(reader)
    growth, growth_digest = read_growth(reader)
    forms = read_forms(reader, codes, derived)
    repairs = read_repairs(reader, forms)
    sources = read_sources(reader, forms, codes)
    reports = read_reports(reader, forms)
    indicators, services = read_indicators(reader, reports), read_services(reader, forms)
    check_file_names(reader, forms, reports)

    catalogue = Catalogue(reader.directory, forms, codes, derived, growth=growth, repairs=repairs, sources=sources)
    can_compile = not reader.broken & {"_envelope", "derived"}  # else every expression would be blamed for one file
    if can_compile:
        catalogue = replace(catalogue, forms=compile_conditions(reader, catalogue))
    written = read_rules(reader, catalogue.forms, reports)
    rules = [one.rule for one in written]
    checks: dict[str, tuple[RuleCheck, ...]] = {}
    if can_compile:
        rules, checks = instantiate(reader, written, catalogue)

    judging = replace(catalogue, rules=tuple(rules), checks_by_form=checks)
    profiles = read_profiles(reader, judging)
    schemes = read_schemes(reader, rules, [*catalogue.forms, *reports])
    plans = read_plans(reader, catalogue.forms, reports, schemes)
    check_choice(reader, schemes, plans, profiles)
    settings = read_settings(reader)
    billing, verification = read_billing(reader), read_verification(reader)
    if reader.faults:
        raise CatalogueError(reader.faults)
    programme = (reports, schemes, plans, settings, indicators, services)
    parts = (catalogue.forms, codes, derived, rules, *programme, growth_digest, repairs, sources)
    return replace(
        judging,
        profiles=profiles,
        reports=reports,
        schemes=schemes,
        plans=plans,
        settings=settings,
        billing=billing,
        verification=verification,
        indicators=indicators,
        services=services,
        fingerprint=catalogue_fingerprint(parts),
    )
