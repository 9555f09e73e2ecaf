"""The small sample that is tracked for tests: ``data/sample/``, two institutions and about 300 residents.

``python -m phqc_pipeline.sample.tracked`` writes it anew; to be done after every change of the catalogue or of this
package, since the answer key belongs to the rules in force.
"""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path

from phqc_pipeline.catalogue import Catalogue, load_catalogue
from phqc_pipeline.home import DEFAULT_RULES, PROJECT_DIR, Home
from phqc_pipeline.sample.summary import SampleSummary
from phqc_pipeline.sample.write import write_sample

TRACKED_DIR = PROJECT_DIR / "data" / "sample"
INSTITUTIONS = 2
RESIDENTS = 300
SEED = 2  # with this one every rule of the catalogue finds somebody to stand for it
SNAPSHOT = date(2024, 12, 31)
FOLDERS = ("landing", "registry", "sample")


def write_tracked(root: Path, cat: Catalogue) -> SampleSummary:
    """The tracked sample into a home at ``root``, in the place of what stands there."""
    for folder in FOLDERS:
        shutil.rmtree(root / folder, ignore_errors=True)
    return write_sample(
        Home(root), cat, institutions=INSTITUTIONS, residents=RESIDENTS, snapshot=SNAPSHOT, seed=SEED, log=print
    )


if __name__ == "__main__":
    print(write_tracked(TRACKED_DIR, load_catalogue(DEFAULT_RULES)).describe())
