"""One writer a home: a lock the system frees when its holder dies, and who holds it.

Belongs here: taking and naming the lock. Does not belong here: what is done under it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from zoneinfo import ZoneInfo

from filelock import FileLock, Timeout

from phqc_pipeline.home import Home

#: How long a second run waits for the first: longer than any night, shorter than a working day.
WAIT_SECONDS = 4 * 3600

SHANGHAI = ZoneInfo("Asia/Shanghai")


class HomeBusyError(RuntimeError):
    """Another run holds the home."""


@contextmanager
def hold_home(
    home: Home, purpose: str, *, wait: float = WAIT_SECONDS, say: Callable[[str], None] = print
) -> Iterator[None]:
    """Hold the home for one run; a killed holder never blocks the next, since the system frees its lock.

    Waits up to ``wait`` seconds and says whom it waits for; raises HomeBusyError after that.
    """
    home.root.mkdir(parents=True, exist_ok=True)
    lock = FileLock(str(home.lock_file))
    holder = home.lock_file.with_suffix(".holder.json")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        say(f"{_describe(holder)}正在使用 {home.root}，等待其结束……")
        try:
            lock.acquire(timeout=wait, poll_interval=0.5)
        except Timeout:
            raise HomeBusyError(f"{_describe(holder)}仍在使用 {home.root}，本次未运行；待其结束后再运行一次") from None
    try:
        started = datetime.now(SHANGHAI).strftime("%Y-%m-%d %H:%M:%S")
        holder.write_text(json.dumps({"pid": os.getpid(), "purpose": purpose, "since": started}), encoding="utf-8")
        yield
    finally:
        holder.unlink(missing_ok=True)
        lock.release()


def _describe(holder: os.PathLike[str]) -> str:
    try:
        with open(holder, encoding="utf-8") as file:
            known = json.load(file)
        return f"另一次运行（进程 {known['pid']}，{known['purpose']}，始于 {known['since']}）"
    except (OSError, ValueError, KeyError):
        return "另一次运行"
