"""The service as a process: it makes what is due, costs little while it waits, and ends when it is asked to."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from services.backups import __main__ as service
from stack.core import saved
from stack.core.settings import ROOT, Settings
from stack.ops import backup_request, scheduled
from tests.polling import PATIENCE_SECONDS, eventually
from tests.stack.conftest import toy as toy
from tests.stack.ops.local.test_backup import fill
from tests.stacks import own_environment

MIB = 2**20


@pytest.fixture
def stack(tmp_path: Path, toy) -> Settings:
    home = fill(tmp_path / "home", toy).home
    settings = Settings(home=home, backup_folder=tmp_path / "backups")
    settings.run.mkdir()
    scheduled.path(settings).write_text(json.dumps({"since": "2026-01-01T00:00:00Z"}))
    return settings


def test_it_looks_at_the_files_that_the_browser_writes(stack: Settings):
    written = saved.path(stack.home), backup_request.path(stack)
    assert tuple(stack.home / name for name in service.FILES) == written


def test_a_backup_that_is_due_is_made_and_waiting_costs_little(stack):
    own = {"STACK_BACKUP_DAILY": "7", "STACK_BACKUP_FOLDER": str(stack.backup_folder)}
    environ = os.environ | own_environment(stack.home) | own
    process = subprocess.Popen([sys.executable, "-m", "services.backups"], cwd=ROOT, env=environ)
    try:
        record = eventually(lambda: (known := scheduled.read(stack)) and known.verified_at and known)
        eventually(lambda: not psutil.Process(process.pid).children())

        assert record.problem is None and Path(record.file).exists()
        assert psutil.Process(process.pid).memory_full_info().pss < 12 * MIB
    finally:
        process.terminate()
    process.wait(PATIENCE_SECONDS)  # raises where it does not stop


@pytest.mark.parametrize("jump", [-3600, 3600])
def test_a_clock_that_jumps_or_a_machine_that_slept_is_looked_after_at_once(monkeypatch, tmp_path, jump):
    began = time.time()
    monkeypatch.setattr(service, "NAP_SECONDS", 0.01)
    monkeypatch.setattr(service.time, "time", iter([began, *[began + jump] * 100]).__next__)
    set_off = time.monotonic()

    service.wait(2 * PATIENCE_SECONDS, tmp_path, {})

    assert time.monotonic() - set_off < PATIENCE_SECONDS


def test_what_is_saved_or_asked_for_is_looked_after_at_once(stack):
    before = service.written(stack.home)
    backup_request.path(stack).write_text('{"state": "asked"}')
    service.wait(2 * PATIENCE_SECONDS, stack.home, before)
    before = service.written(stack.home)
    saved.path(stack.home).write_text("STACK_BACKUP_DAILY=3")
    set_off = time.monotonic()
    service.wait(2 * PATIENCE_SECONDS, stack.home, before)

    assert time.monotonic() - set_off < PATIENCE_SECONDS
