"""The processes of a stack: their memory and the seconds of the cores that they took."""

from collections.abc import Iterator

import psutil

from stack.core.settings import Settings


def of(settings: Settings, words: str = "") -> Iterator[psutil.Process]:
    """Yield the processes of a stack whose command line has these words."""
    for process in psutil.process_iter(["cmdline"]):
        if words in " ".join(process.info["cmdline"] or []):
            try:
                ours = process.environ().get("STACK_HOME") == str(settings.home)
            except psutil.Error:
                continue
            if ours:
                yield process


def memory(settings: Settings) -> float:
    """Return the sum of the PSS of all processes, mebibytes."""
    return sum(process.memory_full_info().pss for process in of(settings)) / 2**20


def core_seconds(settings: Settings, words: str = "") -> float:
    """Return the seconds of cores that the processes have taken so far, with those of their ended children."""
    return sum(sum(process.cpu_times()[:4]) for process in of(settings, words))
