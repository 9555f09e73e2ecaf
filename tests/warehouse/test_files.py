"""A kill at any moment leaves the old or the new, whole."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from phqc_pipeline.warehouse.files import recover_folders, replace_file, replace_folder


def write(folder: Path, text: str) -> None:
    with replace_folder(folder) as aside:
        (aside / "told.txt").write_text(text, encoding="utf-8")


def break_off(replacing: AbstractContextManager[Path], *inside: str) -> None:
    with replacing as aside:
        aside.joinpath(*inside).write_text("half", encoding="utf-8")
        raise RuntimeError


def told(folder: Path) -> str:
    return (folder / "told.txt").read_text(encoding="utf-8")


def test_a_folder_is_replaced_whole(tmp_path: Path) -> None:
    write(tmp_path / "night", "old")
    write(tmp_path / "night", "new")
    assert told(tmp_path / "night") == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["night"]


def test_a_block_that_fails_leaves_the_old_folder_and_no_trace(tmp_path: Path) -> None:
    write(tmp_path / "night", "old")
    with pytest.raises(RuntimeError):
        break_off(replace_folder(tmp_path / "night"), "told.txt")
    assert told(tmp_path / "night") == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["night"]


def test_a_kill_while_writing_is_cleared(tmp_path: Path) -> None:
    write(tmp_path / "night", "old")
    (tmp_path / ".aside-night").mkdir()
    recover_folders(tmp_path)
    assert told(tmp_path / "night") == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["night"]


def test_a_kill_between_the_two_renames_brings_the_old_back(tmp_path: Path) -> None:
    write(tmp_path / "night", "old")
    (tmp_path / "night").rename(tmp_path / ".before-night")
    recover_folders(tmp_path)
    assert told(tmp_path / "night") == "old"


def test_a_kill_after_the_second_rename_keeps_the_new(tmp_path: Path) -> None:
    write(tmp_path / ".before-night", "old")
    write(tmp_path / "night", "new")
    recover_folders(tmp_path)
    assert told(tmp_path / "night") == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["night"]


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "phqc.duckdb"
    with replace_file(target) as aside:
        aside.write_text("old", encoding="utf-8")
    with pytest.raises(RuntimeError):
        break_off(replace_file(target))
    assert target.read_text(encoding="utf-8") == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["phqc.duckdb"]
