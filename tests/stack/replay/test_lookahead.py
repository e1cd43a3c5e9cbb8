"""A batch examined ahead, in a process of its own, is judged as it is in its turn; the process leaves no traces."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil

from tests.polling import eventually

SCRIPT = """
import os, signal, time
from datetime import UTC, datetime
from multiprocessing import active_children
from stack.replay.lookahead import Lookahead
from stack.project import contract

window = datetime(2013, 1, 1, tzinfo=UTC), datetime(2013, 1, 2, tzinfo=UTC)
ahead, deadline = Lookahead("flights"), time.monotonic() + 120

def examined():
    while time.monotonic() < deadline:
        ahead.begin(*window)
        if verdict := ahead.take(*window):
            return verdict
        time.sleep(0.05)
    raise TimeoutError

ahead.begin(*window)
assert ahead.started and ahead.take(*window) is None, "examined by a process that was not up yet"
result, given = examined(), contract.source("flights").fetch(*window)
assert result.accepted
assert {name: len(rows) for name, rows in result.tables.items()} == {name: len(rows) for name, rows in given.items()}
assert ahead.take(*window) is None, "the same verdict twice"

(first,) = active_children()
os.kill(first.pid, signal.SIGSTOP)
ahead.begin(*window)
os.kill(first.pid, signal.SIGKILL)
assert ahead.take(*window) is None, "a verdict of a process that was killed"
assert not ahead.started
ahead.begin(*window)
(second,) = active_children()
print("child", second.pid, flush=True)
time.sleep(120)
"""


def test_a_batch_is_examined_ahead_as_in_its_turn_and_no_process_stays(tmp_path: Path) -> None:
    environ = os.environ | {"STACK_HOME": str(tmp_path)}
    process = subprocess.Popen([sys.executable, "-c", SCRIPT], env=environ, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    lines = (line.split() for line in process.stdout)
    child = next((int(words[1]) for words in lines if words[:1] == ["child"]), None)
    process.kill()
    process.wait()
    assert child, "the script failed: see its error above"

    try:
        eventually(lambda: not alive(child))
    finally:
        if alive(child):  # it has outlived the process that began it
            os.kill(child, signal.SIGKILL)


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
