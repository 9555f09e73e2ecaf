"""Extracts: landing → lake, the books of what was delivered, the registry.

``take_in`` brings the landing folder's files into the lake; ``Books`` answers which delivery is in force on a day;
``read_registry`` reads who is who. Imports of the project: catalogue and home.
"""

from phqc_pipeline.extracts.answers import ANSWER_SCHEMA, answer_files
from phqc_pipeline.extracts.books import Books, Delivery, FileRecord, HeldBack, LakeFile, accept_file
from phqc_pipeline.extracts.registry import Registry, RegistryError, read_registry
from phqc_pipeline.extracts.rows import lake_schema
from phqc_pipeline.extracts.take_in import Intake, take_in

__all__ = [
    "ANSWER_SCHEMA",
    "Books",
    "Delivery",
    "FileRecord",
    "HeldBack",
    "Intake",
    "LakeFile",
    "Registry",
    "RegistryError",
    "accept_file",
    "answer_files",
    "lake_schema",
    "read_registry",
    "take_in",
]
