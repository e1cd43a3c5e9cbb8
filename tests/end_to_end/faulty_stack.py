"""A stack of its own with small projects, whose runs and services are killed."""

import json
import os
import random
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from flows.automations import retraining_name
from stack.core.settings import Settings
from stack.ops.local.runtime import LocalRuntime
from stack.ops.local.supervisor import Supervisor
from stack.ops.runs import Run, Runs
from tests.end_to_end import checkouts
from tests.polling import eventually
from tests.stacks import prefect_api, shell

SERVERS = ["mlflow", "prefect", "prediction"]


class FaultyStack:
    """The running stack of a checkout, and the launcher that runs flows beside its worker.

    Args:
        python: of the checkout.
        folder: of the checkout.
        settings: of its stack.
    """

    def __init__(self, python: Path, folder: Path, settings: Settings) -> None:
        self.settings, self.runs = settings, Runs(settings, patience=60)
        self._supervisor = Supervisor(settings)
        command = [str(python), str(Path(__file__).with_name("launcher.py")), str(folder)]
        self._log = (folder / "launcher.log").open("w")
        self._process = subprocess.Popen(
            command,
            env=checkouts.environment(folder, shell(settings)),
            cwd=folder,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
        )

    def flow(self, flow: str, project: str, kill: list[str] | None = None, **parameters: str) -> None:
        """Run a flow until it succeeds; with `kill`, it is killed at each of these places and started again."""
        answer = self._ask({"flow": flow, "parameters": {"project": project, **parameters}, "kill": kill or []})
        assert sorted(answer["reached"]) == sorted(kill or [])
        assert answer["status"] == 0

    def run_and_kill(self, flow: str, project: str, *, runs: int, servers: int, **parameters: str) -> int:
        """Run a flow until it succeeds, while it is killed `runs` times and its servers are, both at random moments.

        Returns:
            Number of processes killed: the flow may end before its turn, or a server not be there.
        """
        moments, over, killed = random.Random(f"{flow} {project}"), threading.Event(), list[str]()
        after = [moments.uniform(0.2, 4) for _ in range(runs)]
        killer = threading.Thread(target=self._kill_servers, args=(moments, servers, over, killed))
        killer.start()
        try:
            answer = self._ask({"flow": flow, "parameters": {"project": project, **parameters}, "after": after})
        finally:
            over.set()
            killer.join()
        assert answer["status"] == 0
        eventually(lambda: all(row.well for row in LocalRuntime(self.settings).status()), 600)
        return int(answer["killed"]) + len(killed)

    def _kill_servers(self, moments: random.Random, servers: int, over: threading.Event, killed: list[str]) -> None:
        while len(killed) < servers and not over.wait(moments.uniform(2, 8)):
            service = moments.choice(SERVERS)
            if self.kill(service):
                killed.append(service)

    def kill(self, service: str) -> bool:
        """Kill a service, which its supervisor starts again; return whether it ran."""
        pid = self._supervisor.states()[service].pid
        with suppress(ProcessLookupError):
            if pid:
                os.kill(pid, signal.SIGKILL)
                return True
        return False

    def state(self, project: str) -> dict[str, Any]:
        """Return the state of a project."""
        found = self._ask({"state": project})
        assert found, "the state cannot be read; the log of the launcher says why"
        return found

    def start(self, flow: str, project: str, **parameters: str) -> str:
        """Start a run of a deployment, which the worker of the stack takes up; return its id."""
        return self.runs.start(flow, project, parameters)

    def progress(self, run: str) -> str:
        """Return the state of a run."""
        answer = prefect_api(self.settings).get(f"/flow_runs/{run}").raise_for_status()
        return str(answer.json()["state"]["type"])

    def training(self, project: str, cutoff: str) -> Run | None:
        """Return the newest run of the training deployment with this cut-off."""
        return self.runs.last("train", project, {"cutoff": datetime.fromisoformat(cutoff)})

    @contextmanager
    def ignoring_drift(self, project: str) -> Iterator[None]:
        """Ignore the drift events of a project, as when the server is killed before it has read one."""
        self._listen(project, False)
        try:
            yield
        finally:
            self._listen(project, True)

    def _listen(self, project: str, enabled: bool) -> None:
        api = prefect_api(self.settings)
        query = {"automations": {"name": {"any_": [retraining_name(project)]}}}
        (automation,) = api.post("/automations/filter", json=query).raise_for_status().json()
        api.patch(f"/automations/{automation['id']}", json={"enabled": enabled}).raise_for_status()

    def close(self) -> None:
        """End the launcher."""
        self._process.kill()
        self._process.communicate()
        self._log.close()

    def _ask(self, job: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer
