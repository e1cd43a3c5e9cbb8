"""Become a service: what supervisord runs for each, ``python -m stack.ops.local.launch DEFINITION``.

A killed server leaves children that hold its port. So what is left of the previous incarnation is ended first; then
the start is noted, which is how ``make status`` counts restarts, and this process becomes the service's command.
"""

import json
import os
import sys
import time
from pathlib import Path

from stack.ops.local import processes

START = "--- start:"


def main(definition: Path) -> None:
    """Replace this process by the command of the definition file: ``{"command": [...], "environment": {...}}``."""
    body = json.loads(definition.read_text())
    leftovers = processes.by_service(os.environ[processes.STACK]).get(os.environ[processes.SERVICE], [])
    processes.kill(process for process in leftovers if process.pid != os.getpid())
    with starts(definition).open("a") as file:
        print(f"{time.time():.3f} {os.getpid()}", file=file)
    environ = os.environ | body["environment"]
    print(f"{START} {' '.join(body['command'])}", flush=True)
    os.execvpe(body["command"][0], body["command"], environ)  # noqa: S606  # becoming the command is the purpose


def starts(definition: Path) -> Path:
    """Return the file that holds a line for each start since the service was last started on purpose."""
    return definition.with_suffix(".starts")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
