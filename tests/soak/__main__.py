"""``python -m tests.soak --minutes 60 --seed 1``: a stack under load whose processes are killed, then the account.

The stack is one of its own: a copy of the checkout in a temporary folder, on free ports. The exit code is 1 when a bar
is missed; the folder is kept then.
"""

import argparse
import importlib.util
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event, Thread
from time import monotonic
from typing import Any

from bench.table import print_rows
from stack.core import settings
from stack.core.settings import Settings
from stack.ops.local.runtime import LocalRuntime
from tests.end_to_end import checkouts
from tests.soak.figures import Soak, rows
from tests.soak.flow_runs import EVERY_SECONDS, FlowRuns
from tests.soak.kills import Killer
from tests.soak.traffic import Traffic
from tests.stacks import own_environment

PROJECT = "soak"
FILES = Path(__file__).parent / "project"
HISTORY = timedelta(days=10)
AHEAD = timedelta(hours=2)
PROGRESS_SECONDS = 60.0


def main() -> int:
    """Run the soak and print its table."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--seed", type=int, default=random.randrange(10_000))
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="soak-"))
    say(f"{arguments.minutes:g} min with seed {arguments.seed} in {folder}")
    with stack(folder) as (here, command):
        soak = run(here, request_rows(folder), arguments)
        say("the kills and requests are over: one undisturbed ingest and training, then the account")
        soak.settle()
        journal = folder / "journal.json"
        journal.write_text(json.dumps(vars(soak.traffic.journal) | {"kills": soak.killer.kills}))
        account = [command[0], str(Path(__file__).with_name("account.py")), str(journal)]
        compared = subprocess.run(account, **process(folder), check=True, stdout=subprocess.PIPE, text=True)
        problem = soak.killer.problem()
    print(f"\n{soak.seconds / 60:.1f} of {arguments.minutes:g} min, seed {arguments.seed}")
    if print_rows(rows(soak, json.loads(compared.stdout.splitlines()[-1]), problem)):
        shutil.rmtree(folder)
        return 0
    say(f"the stack's logs and the journal are kept in {folder}")
    return 1


def run(here: Settings, requests: list[dict[str, Any]], arguments: argparse.Namespace) -> Soak:
    """Send requests, run flows and kill processes for so long, or until Ctrl-C: the account follows either way."""
    flows = FlowRuns(here, PROJECT, say)
    killer = Killer(here, arguments.seed, say)
    traffic = Traffic(f"{here.prediction_url}/{PROJECT}", requests, arguments.seed)
    soak = Soak(traffic, killer, flows, memory(here))
    killed, stopped, began = Event(), Event(), monotonic()
    killing = Thread(target=killer.run, args=[killed], daemon=True)
    others = [Thread(target=traffic.run, args=[stopped], daemon=True)]
    others += [Thread(target=flows.repeat, args=[flow, stopped], daemon=True) for flow in EVERY_SECONDS]
    for thread in (killing, *others):
        thread.start()
    with suppress(KeyboardInterrupt):
        while (left := began + 60 * arguments.minutes - monotonic()) > 0:
            killed.wait(min(PROGRESS_SECONDS, left))
            soak.loads.append(os.getloadavg()[0])
            statuses, states = dict(traffic.journal.statuses), dict(flows.states)
            say(f"{(monotonic() - began) / 60:.0f} min: {len(killer.kills)} kills; answers {statuses}; runs {states}")
    killed.set()
    killing.join()
    stopped.set()
    for thread in others:
        thread.join()
    soak.memory_after, soak.seconds = memory(here), monotonic() - began
    return soak


def say(text: str) -> None:
    """Print a line of progress."""
    print(f"{datetime.now(UTC):%H:%M:%S} {text}", flush=True)


def memory(here: Settings) -> dict[str, float]:
    """Return the PSS of each service, MiB."""
    return {row.name: row.memory / 2**20 for row in LocalRuntime(here).status() if row.memory}


@contextmanager
def stack(folder: Path) -> Iterator[tuple[Settings, list[str]]]:
    """Start a stack from a copy of the checkout with one project, run its first pipeline, and stop it at the end."""
    python = checkouts.make(folder, {PROJECT: "P2D"})
    start = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - HISTORY
    project = folder / "projects" / PROJECT
    shutil.copytree(FILES, project, dirs_exist_ok=True)
    (project / "start").write_text(start.isoformat())
    specification = (project / "project.yaml").read_text()
    (project / "project.yaml").write_text(specification.replace("2024-01-01T00:00:00Z", start.isoformat()))
    own = own_environment(folder / "var")
    (folder / "environment.json").write_text(json.dumps(own))
    command = [str(python), "-m", "stack"]
    try:
        subprocess.run([*command, "up", "--no-pipeline"], **process(folder), check=True, timeout=900)
        subprocess.run([*command, "run", PROJECT], **process(folder), check=True, timeout=900)
        yield settings.load(os.environ | own, env_file=Path(os.devnull)), command
    finally:
        subprocess.run([*command, "down"], **process(folder), check=False, timeout=300)


def process(folder: Path) -> dict[str, Any]:
    """Return the working directory and the environment of a process of the stack."""
    own = json.loads((folder / "environment.json").read_text())
    return {"cwd": folder, "env": checkouts.environment(folder, os.environ | own)}


def request_rows(folder: Path) -> list[dict[str, Any]]:
    """Return the crossings of the next hours as request rows, each with its `label`."""
    place = importlib.util.spec_from_file_location("soak_source", folder / "projects" / PROJECT / "source.py")
    assert place and place.loader
    source = importlib.util.module_from_spec(place)
    place.loader.exec_module(source)
    crossings, now = source.crossings(), datetime.now(UTC)
    crossings = crossings[crossings["due"].between(now, now + AHEAD)].rename(columns={"late": "label"})
    crossings["due"] = crossings["due"].dt.strftime("%Y-%m-%dT%H:%M:%SZ")
    return crossings[[*source.REQUEST, "label"]].to_dict("records")  # type: ignore[no-any-return]


if __name__ == "__main__":
    sys.exit(main())
