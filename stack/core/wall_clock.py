"""Whether the wall clock can be believed: it is compared with the time that has passed since the last look.

An empty battery, a wrong setting or a step of NTP moves a clock by years; what is deleted or ingested then is wrong for
good. The seconds since the machine's start, sleep included, tell such a jump from time that has passed. Where NTP keeps
the kernel's clock, its time is right whatever was thought before; `make clock TRUST=1` says the same for a person.
"""

import ctypes
import json
import os
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import get_ident

from stack.core import files
from stack.core.problems import Problem
from stack.core.settings import Settings

TOLERANCE = timedelta(minutes=5)
OFF = timedelta(days=8)
"""A machine without NTP that was off for longer asks for `make clock TRUST=1`."""
FAR = timedelta(days=8)
"""So long after its newest record, nothing of a table is deleted on the word of a clock that was not watched."""
REFRESH_SECONDS = 30.0
TITLE = "the clock has jumped"
TODO = "correct the clock (`timedatectl`); if it is right, run `make clock TRUST=1`"
UNSYNCHRONISED = 0x40  # STA_UNSYNC, https://man7.org/linux/man-pages/man2/adjtimex.2.html
BOOT, UPTIME = Path("/proc/sys/kernel/random/boot_id"), Path("/proc/uptime")


@dataclass(frozen=True)
class Reading:
    """The machine's clocks at one moment."""

    wall: float
    """Seconds since 1970."""
    boot: str
    """Names the machine's start."""
    uptime: float
    """Seconds since then, sleep included."""
    since: float = 0.0
    """Instant from which on the clock has been watched without a jump that was believed."""


@dataclass(frozen=True)
class Observation:
    """What is thought of the wall clock."""

    now: datetime
    """The wall clock; where it has jumped, the time that has passed since it last ran steadily."""
    since: datetime
    jump: timedelta = timedelta()
    """By how much it has moved against the time that has passed; zero where it runs steadily."""

    @property
    def trusted(self) -> datetime:
        """No instant beyond it is believed."""
        return self.now + TOLERANCE

    @property
    def problem(self) -> str:
        """Return the jump in words; empty where there is none."""
        if not self.jump:
            return ""
        way, minutes = "ahead" if self.jump > timedelta() else "back", round(abs(self.jump) / timedelta(minutes=1))
        amount = f"{minutes} minutes" if minutes < 3000 else f"{minutes / 1440:.0f} days"
        return f"by {amount} {way}: nothing is deleted, and no batch ends beyond the time that has passed"


def observe(settings: Settings) -> Observation:
    """Compare the wall clock with the last look, and keep this look for the next unless the clock has jumped."""
    now, mark = read(), _mark(settings)
    if mark is None:
        return _believed(settings, replace(now, since=now.wall))
    low = mark.wall + now.uptime - (mark.uptime if now.boot == mark.boot else 0.0)
    high = low if now.boot == mark.boot else low + OFF.total_seconds()
    jump = now.wall - min(max(now.wall, low), high)
    if abs(jump) <= TOLERANCE.total_seconds():
        if now.boot != mark.boot or abs(now.wall - mark.wall) > REFRESH_SECONDS:
            return _believed(settings, replace(now, since=mark.since))
        return _observation(replace(now, since=mark.since))
    if _kept_by_ntp(now.wall):
        return _believed(settings, replace(now, since=now.wall))
    expected = _observation(replace(now, wall=low, since=mark.since))
    return replace(expected, jump=timedelta(seconds=jump))


def trust(settings: Settings) -> None:
    """Believe the wall clock as it is now."""
    now = read()
    _believed(settings, replace(now, since=now.wall))


def problems(settings: Settings) -> list[Problem]:
    """Return the jump of the wall clock, if there is one."""
    seen = observe(settings)
    return [Problem(TITLE, seen.problem, TODO)] if seen.jump else []


def read() -> Reading:
    """Read the clocks; where a system has no such files, each look is as after a restart of the machine."""
    try:
        return Reading(time.time(), BOOT.read_text().strip(), float(UPTIME.read_text().split()[0]))
    except OSError:
        return Reading(time.time(), f"{time.time()}", 0.0)


def _kept_by_ntp(wall: float) -> bool:
    """Return whether the kernel's clock is kept by NTP, and is the wall clock that this process sees."""
    timex = (ctypes.c_long * 64)()  # status is the 6th word, the time the 10th: both ABIs of Linux with 64 bits
    try:
        if ctypes.CDLL(None).adjtimex(timex) < 0:
            return False
    except (AttributeError, OSError):
        return False
    return not timex[5] & UNSYNCHRONISED and abs(timex[9] - wall) < TOLERANCE.total_seconds()


def _mark(settings: Settings) -> Reading | None:
    try:
        return Reading(**json.loads(_file(settings).read_text()))
    except (OSError, ValueError, TypeError):
        return None


def _believed(settings: Settings, now: Reading) -> Observation:
    path = _file(settings)
    new = path.with_name(f".{path.name}-{os.getpid()}-{get_ident()}{files.PARTIAL}")  # others look at the same time
    with suppress(OSError):  # a full disk: the mark of before goes on
        path.parent.mkdir(parents=True, exist_ok=True)
        new.write_text(json.dumps(asdict(now)))
        new.replace(path)
    return _observation(now)


def _observation(now: Reading) -> Observation:
    wall, since = (datetime.fromtimestamp(seconds, UTC) for seconds in (now.wall, now.since))
    return Observation(wall, since)


def _file(settings: Settings) -> Path:
    return settings.run / "clock.json"
