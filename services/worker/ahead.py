"""Write the bytecode of what runs import, before the first one waits for it.

The installation writes none: of its 40,000 files the stack imports 9,000, and compiling a module takes as long as
running it. Services write their own as they start; what runs alone import is written by a child of the worker, in time
that no other process wants.
"""

import os
import subprocess
import sys
from importlib.util import cache_from_source, find_spec
from pathlib import Path
from threading import Thread

WITNESS = "optuna"
"""A package that runs alone import."""
IMPORTS = "import stack.validation.batches, stack.training.training, stack.promotion.gate"
COMMAND = ["nice", "-n", "19", sys.executable, "-c", IMPORTS]


def start() -> None:
    """Start the child after an installation, where bytecode can be written; nobody waits for it."""
    spec = find_spec(WITNESS)
    if spec and spec.origin and needed(Path(spec.origin)):
        Thread(target=subprocess.call, args=[COMMAND], name="ahead", daemon=True).start()


def needed(source: Path) -> bool:
    """Return whether a module has no bytecode, and could have it."""
    return not Path(cache_from_source(str(source))).exists() and os.access(source.parent, os.W_OK)
