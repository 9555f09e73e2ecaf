"""Which landing files are answered workbooks (整改清单).

Belongs here: how they are known by name. Does not belong here: reading them (``answers``).
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

#: ``ingest.file.form_id`` of such a workbook, and how its file name begins.
ANSWER_FORM, ANSWER_NAME = "rectification_answer", "整改清单"
#: Changed by hand when the same workbook would give other rows.
ANSWER_VERSION = 1


@dataclass(frozen=True)
class AnswerBook:
    """What a landing file's name says when it is an answered workbook: stands where a form or report would."""

    form_id: str = ANSWER_FORM
    title: str = ANSWER_NAME


def is_answer_name(name: str) -> bool:
    """Whether a file name is that of an answered workbook: 整改清单.xlsx, 整改清单_王医生（已填）.xlsx …"""
    return unicodedata.normalize("NFKC", name).casefold().startswith(ANSWER_NAME)
