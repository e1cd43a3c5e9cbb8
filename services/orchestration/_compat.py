"""Reaches into Prefect's command line and Python's garbage collector."""

from __future__ import annotations

import gc
import runpy
import sys
from collections.abc import Sequence


def start_server(arguments: Sequence[str]) -> None:
    """Run `prefect server start` in this process, with automatic garbage collection disabled.

    Tool: Prefect
    Reach: prefect.__main__, gc.disable
    Why: Garbage is collected in a thread of our own, which must live in the server's process.
    Upstream: none known
    """
    gc.disable()
    sys.argv = ["prefect", "server", "start", *arguments]
    runpy.run_module("prefect", run_name="__main__")
