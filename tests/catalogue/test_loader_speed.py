"""Loading and checking must stay quick with all 33 forms and their 560 rules, since every command begins with it."""

from __future__ import annotations

import re
import shutil
import time
from pathlib import Path

from phqc_pipeline.catalogue import load_catalogue
from phqc_pipeline.home import DEFAULT_RULES

ALL_FORMS, ALL_RULES = 33, 560
SECONDS = 3.0  # of processor time: the wall clock of a busy machine says nothing


def test_whole_catalogue_loads_in_three_seconds(tmp_path: Path) -> None:
    forms, rules = blown_up(DEFAULT_RULES, tmp_path / "rules")
    assert forms == ALL_FORMS
    assert rules >= ALL_RULES
    started = time.process_time()
    catalogue = load_catalogue(tmp_path / "rules")
    took = time.process_time() - started
    assert len(catalogue.forms) == ALL_FORMS
    assert took < SECONDS, f"{took:.1f} s"


def blown_up(source: Path, target: Path) -> tuple[int, int]:
    """The catalogue with its own forms and rules repeated under other names until there are 33 forms; the counts."""
    shutil.copytree(source, target)
    originals = [path for path in sorted((target / "forms").glob("*.yaml")) if not path.name.startswith("_")]
    # The largest form once is enough: the real ones have 36 fields on average.
    repeated = [path for path in originals if path.stem != "health_exam"]
    forms, number = len(originals), 0
    while forms < ALL_FORMS:
        original = repeated[number % len(repeated)]
        round_ = number // len(repeated) + 1
        name = f"{original.stem}_{round_}"
        text = original.read_text(encoding="utf-8").replace(f"form_id: {original.stem}", f"form_id: {name}")
        text = re.sub(r"^title: .*$", f"title: {original.stem} 第{round_}张", text, flags=re.MULTILINE)
        text = re.sub(r"^aliases: .*$\n", "", text, flags=re.MULTILINE)
        (target / "forms" / f"{name}.yaml").write_text(text, encoding="utf-8")
        checks = target / "checks" / original.name
        if checks.exists():
            renamed = re.sub(
                r"id: ([A-Z]+)-([A-Z])-(\d)", rf"id: \1-\2-{round_ + 3}", checks.read_text(encoding="utf-8")
            )
            (target / "checks" / f"{name}.yaml").write_text(renamed, encoding="utf-8")
        forms, number = forms + 1, number + 1
    written = "".join(path.read_text(encoding="utf-8") for path in (target / "checks").glob("*.yaml"))
    return forms, len(re.findall(r"^ *- id: ", written, flags=re.MULTILINE))
