"""The rule handbook: a static site in Chinese, generated from ``rules/``, that works from disk without a network.

Belongs here: what stands on which page (Markdown), and having Sphinx build the site. Does not belong here: what the
command line says of a rule as well (``catalogue.explain``), the form dictionary in docs/ (``catalogue.handbook``).
"""

from phqc_pipeline.handbook.build import Built, FolderTakenError, HandbookError, build_handbook

__all__ = ["Built", "FolderTakenError", "HandbookError", "build_handbook"]
