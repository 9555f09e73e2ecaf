"""Two runs on one home: the second waits or says who holds it, and a killed run never blocks the next."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from phqc_pipeline.home import Home
from phqc_pipeline.orchestration.lock import HomeBusyError, hold_home

HOLDER = """
import sys, time
from pathlib import Path
from phqc_pipeline.home import Home
from phqc_pipeline.orchestration.lock import hold_home
with hold_home(Home(Path(sys.argv[1])), "测试"):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path: Path):
    process = subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()


def test_the_second_says_who_holds_it(tmp_path: Path, holder: subprocess.Popen) -> None:
    said: list[str] = []
    with (
        pytest.raises(HomeBusyError, match=str(holder.pid)),
        hold_home(Home(tmp_path), "另一次", wait=0.2, say=said.append),
    ):
        pytest.fail("两次运行同时持有一个目录")
    assert any("测试" in line for line in said)


def test_a_killed_holder_blocks_nobody(tmp_path: Path, holder: subprocess.Popen) -> None:
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    with hold_home(Home(tmp_path), "下一次", wait=5):
        pass


def test_the_second_waits_for_the_first(tmp_path: Path) -> None:
    script = HOLDER.replace("time.sleep(60)", "time.sleep(1)")
    process = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    started = time.monotonic()
    with hold_home(Home(tmp_path), "等待者", wait=30, say=lambda _: None):
        assert time.monotonic() - started > 0.3
    process.wait()
