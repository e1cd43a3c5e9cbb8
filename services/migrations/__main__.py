"""Bring every database to the installed versions, and apply the Feast definitions: ``python -m services.migrations``.

The tools do it at the same time, each in a process of its own, as they import little in common. A database that is
up to date is left as it is.
"""

import subprocess
import sys
from collections.abc import Mapping, Sequence

COMMANDS: Mapping[str, Sequence[str]] = {
    "MLflow's database": [sys.executable, "-m", "services.tracking.database"],
    "Prefect's database": ["prefect", "server", "database", "upgrade", "--yes"],
    "state and features": ["stack", "apply"],
}


def main() -> int:
    """Run the commands, print the output of each, and return the exit code of the first that failed."""
    running = {
        name: subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for name, command in COMMANDS.items()
    }
    outputs = {name: process.communicate()[0].strip() for name, process in running.items()}
    for name, process in running.items():
        print(f"{name}: {f'failed with exit code {process.returncode}' if process.returncode else 'done'}")
        if outputs[name]:
            print(outputs[name])
    return next((process.returncode for process in running.values() if process.returncode), 0)


if __name__ == "__main__":
    sys.exit(main())
