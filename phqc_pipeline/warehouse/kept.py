"""What nights were judged by, kept beside them: catalogue, registry, dbt project, each version once.

Belongs here: laying a version down. Does not belong here: judging by it again (``orchestration.replay``).
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

from phqc_pipeline.home import Home
from phqc_pipeline.warehouse.files import content_fingerprint, replace_folder

_LENGTH = 16  # of the fingerprints in folder names: enough to tell versions apart, short enough to read


def keep_versions(home: Home, rules: Path, catalogue_fingerprint: str) -> dict[str, str]:
    """Keep ``rules`` (the catalogue's folder), the home's registry and the dbt project as they are now; the names
    under which ``night.json`` finds them again (``kept_catalogue``, ``kept_registry``, ``kept_project``)."""
    registry = sorted(path for path in home.registry.glob("*.csv") if path.is_file())
    project = project_files(home.dbt_project)
    names = {
        "kept_catalogue": f"catalogue-{catalogue_fingerprint[:_LENGTH]}",
        "kept_registry": f"registry-{content_fingerprint(registry)[:_LENGTH]}",
        "kept_project": f"project-{content_fingerprint(project)[:_LENGTH]}",
    }
    catalogue = (path for path in rules.rglob("*") if path.is_file() and path.suffix in (".yaml", ".csv"))
    _keep(home, names["kept_catalogue"], rules, catalogue)
    _keep(home, names["kept_registry"], home.registry, registry)
    _keep(home, names["kept_project"], home.dbt_project, project)
    return names


def project_files(project: Path) -> list[Path]:
    """The dbt project's own files, in order; not what dbt makes of them."""
    made = {"target", "logs", "__pycache__", "dbt_packages"}
    return sorted(
        path for path in project.rglob("*") if path.is_file() and not made & set(path.relative_to(project).parts)
    )


def _keep(home: Home, name: str, source: Path, files: Iterable[Path]) -> None:
    target = home.kept / name
    if target.is_dir():
        return
    with replace_folder(target) as folder:
        for path in files:
            copy = folder / path.relative_to(source)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
