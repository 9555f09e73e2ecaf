"""Writing files so that a kill at any moment leaves either the old or the new, whole.

Belongs here: write aside, flush, rename; and clearing what a kill left. Does not belong here: what is written.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_ASIDE = ".aside-"  # being written; worthless after a kill
_BEFORE = ".before-"  # the old folder between the two renames; put back if the new one never arrived


@contextmanager
def replace_folder(target: Path) -> Iterator[Path]:
    """Yields an empty folder beside ``target``; when the block ends well, it becomes ``target``, flushed to disk.

    A folder cannot be renamed over a full one, so the old is moved away first; ``recover_folders`` puts it back when
    a kill came between the two renames.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = target.parent / f"{_ASIDE}{target.name}"
    before = target.parent / f"{_BEFORE}{target.name}"
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir()
    try:
        yield aside
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise
    for path in sorted(aside.rglob("*")):
        if path.is_file():
            flush(path)
    flush(aside)
    if target.exists():
        shutil.rmtree(before, ignore_errors=True)
        target.rename(before)
    aside.rename(target)
    flush(target.parent)
    shutil.rmtree(before, ignore_errors=True)


def recover_folders(parent: Path) -> None:
    """Clear what kills left in ``parent``: the half-written goes; an old folder whose successor never came returns."""
    if not parent.is_dir():
        return
    for entry in list(parent.iterdir()):
        if entry.name.startswith(_ASIDE):
            shutil.rmtree(entry, ignore_errors=True)
        elif entry.name.startswith(_BEFORE):
            successor = parent / entry.name[len(_BEFORE) :]
            if successor.exists():
                shutil.rmtree(entry, ignore_errors=True)
            else:
                entry.rename(successor)


@contextmanager
def replace_file(target: Path) -> Iterator[Path]:
    """Yields a path beside ``target`` to write to; when the block ends well it is flushed and renamed over it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = target.parent / f"{_ASIDE}{target.name}"
    aside.unlink(missing_ok=True)
    try:
        yield aside
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
    flush(aside)
    aside.replace(target)
    flush(target.parent)


def flush(path: Path) -> None:
    """Force a file or folder to disk, so that a rename never shows a name without its content."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def content_fingerprint(paths: list[Path]) -> str:
    """A fingerprint of the files' names and bytes, in the order given."""
    digest = hashlib.blake2b(digest_size=16)
    for path in paths:
        digest.update(path.name.encode())
        with path.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()
