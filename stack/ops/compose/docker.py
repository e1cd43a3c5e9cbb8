"""Docker's command line for one stack: which variables docker-compose.yml is given, and what its answers hold."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import IO, Any

from stack.core import secrets
from stack.core.errors import StackError
from stack.core.settings import PREFIX, ROOT, Settings
from stack.core.variables import key
from stack.ops import credentials, lan

OLDEST = (2, 20)
"""Of Docker Compose: the first that waits for one-shot services; https://docs.docker.com/compose/releases/."""
EVERYTHING = ("--profile", "*")
WORKER = "worker"
"""The service whose container has state, code and tools."""
HOME = "/var/lib/stack"
"""The state's folder in a container."""
PROJECT = "com.docker.compose.project"
"""The label by which Docker Compose knows what belongs to a stack."""
OF_THE_HOST = ("STACK_HOME", "STACK_RUNTIME", "STACK_PROFILES", "STACK_BIND")
"""Settings that say nothing to a container: its state lies in volumes, and it listens on every interface of its own."""


@dataclass(frozen=True)
class Container:
    """What the engine says of a service's container."""

    service: str
    state: str
    """created, running, restarting, exited, dead, paused or removing."""
    health: str
    """starting, healthy, unhealthy, or empty where there is no check."""
    exit_code: int
    name: str
    restarts: int
    started: datetime
    last_check: str
    """Output of the last health check."""
    checkout: str
    """Folder of the docker-compose.yml that it comes from."""

    @property
    def running(self) -> bool:
        """Whether it has a process."""
        return self.state in ("running", "restarting", "paused")


def engine() -> str | None:
    """Return why containers cannot be used here; None when an engine with Compose answers."""
    if not shutil.which("docker"):
        return "the command docker is not installed"
    server = run("version", "--format", "{{.Server.Version}}")
    plugin = run("compose", "version", "--short")
    for ran, problem in ((server, "no Docker engine answers"), (plugin, "Docker has no Compose v2")):
        if ran.returncode:
            return f"{problem}: {(ran.stderr or ran.stdout).strip()[:200]}"
    version = plugin.stdout.strip().removeprefix("v")
    if tuple(int(part) for part in re.findall(r"\d+", version)[:2]) < OLDEST:
        return f"Docker Compose {version}, older than {'.'.join(map(str, OLDEST))}"
    return None


def run(*words: str) -> subprocess.CompletedProcess[str]:
    """Run a command of Docker's; where Docker is not installed, it ends with a shell's code for that."""
    command = ["docker", *words]
    try:
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return subprocess.CompletedProcess(command, 127, "", "the command docker is not installed")


def compose(
    settings: Settings,
    *words: str,
    check: bool = True,
    what: str = "",
    stdin: IO[bytes] | int = subprocess.DEVNULL,
    stdout: IO[bytes] | int = subprocess.PIPE,
) -> subprocess.CompletedProcess[str]:
    """Run ``docker compose`` on this stack; its output is returned, or goes to the file `stdout`.

    Raises:
        StackError: it ended with an error, and `check` is set; `what` names the command.
    """
    environ = environment(settings)
    ran = subprocess.run(
        command(settings, *words),
        cwd=ROOT,
        env=environ,
        stdin=stdin,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    if check and ran.returncode:
        raise failure(what or f"docker compose {words[0]}", ran.stderr.strip() or f"exit code {ran.returncode}")
    return ran


def failure(what: str, output: str) -> StackError:
    """Return the error of a command of Docker's, with the end of its output."""
    end = "\n".join(output.splitlines()[-12:])
    return StackError(what, found=end, expected="an exit code of 0", todo="run `make doctor`")


def inside(settings: Settings, *words: str) -> str:
    """Run a command where the state is, in the worker's container; return what it prints."""
    return compose(settings, "exec", "-T", WORKER, *words).stdout


def started(
    settings: Settings,
    *words: str,
    stdin: IO[bytes] | None = None,
    stdout: IO[bytes] | int | None = None,
    stderr: int | None = None,
) -> subprocess.Popen[str]:
    """Start ``docker compose`` on this stack."""
    environ = environment(settings)
    return subprocess.Popen(
        command(settings, *words), cwd=ROOT, env=environ, stdin=stdin, stdout=stdout, stderr=stderr, text=True
    )


def container(settings: Settings, service: str = WORKER) -> str:
    """Return the name of a service's container."""
    return f"{settings.name}-{service}-1"


def command(settings: Settings, *words: str) -> list[str]:
    """Return the words of a ``docker compose`` command; ``.env`` is read by our settings alone, not by Docker."""
    profiles = [word for profile in sorted(settings.optional) for word in ("--profile", profile)]
    return ["docker", "compose", "--project-name", settings.name, "--env-file", os.devnull, *profiles, *words]


def environment(settings: Settings) -> dict[str, str]:
    """Return the environment of ``docker compose``: this process's, with the stack's variables from the settings."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith((PREFIX, "COMPOSE_"))}
    return inherited | values(settings)


def values(settings: Settings) -> dict[str, str]:
    """Return the variables of docker-compose.yml that the user's settings decide; the file has the others."""
    places = [name for name in Settings.model_fields if name in ("home", "host", "profiles") or name.endswith("_port")]
    derived = Settings.model_validate({name: getattr(settings, name) for name in places}).environment()
    # To stop a stack no password is needed.
    unset = {key(name): "unset" for name in credentials.PASSWORDS}
    always = {key(name): str(getattr(settings, name)) for name in places}
    ours = {key: value for key, value in settings.environment().items() if value != derived.get(key)}
    variables = unset | always | ours | lan.variables(settings)
    variables[secrets.VARIABLE] = secrets.exported()
    variables["FURTHER_COPIES"] = str(settings.prediction_copies - 1)
    if settings.dask_address == derived[key("dask_address")] != "":
        variables[key("dask_address")] = f"tcp://dask-scheduler:{settings.dask_port}"
    return {key: value for key, value in variables.items() if key not in OF_THE_HOST}


def containers(settings: Settings) -> dict[str, Container]:
    """Return the containers of the stack's services, by service; none where no engine answers.

    Further ones of a service are named `<service>-2` and so on. Containers of a single command, as of `make notebook`,
    are the user's.
    """
    words = ("ps", "--all", "--no-trunc", "--filter", "label=com.docker.compose.oneoff=False", "--format", "{{.ID}}")
    found = map(_container, inspect(_listed(settings, *words)))
    return {container.name.removeprefix(f"{settings.name}-").removesuffix("-1"): container for container in found}


def running(settings: Settings) -> list[str]:
    """Return the services that have a process."""
    return sorted(name for name, container in containers(settings).items() if container.running)


def volumes(settings: Settings) -> list[str]:
    """Return the names of the stack's volumes; none where no engine answers."""
    return sorted(_listed(settings, "volume", "ls", "--format", "{{.Name}}"))


def inspect(names: list[str]) -> list[Mapping[str, Any]]:
    """Return what the engine knows of containers or images; those that are gone are left out."""
    return list(json.loads(run("inspect", *names).stdout or "[]")) if names else []


def memory(settings: Settings) -> dict[str, int]:
    """Bytes of memory of each running container, without the file cache that it could give back, by container name."""
    names = [container.name for container in containers(settings).values() if container.running]
    if not names:
        return {}
    lines = run("stats", "--no-stream", "--format", "{{json .}}", *names).stdout.splitlines()
    return {body["Name"]: _bytes(body["MemUsage"].partition(" / ")[0]) for body in map(json.loads, lines)}


def _listed(settings: Settings, *words: str) -> list[str]:
    """Return the names in a listing of Docker's, of this stack alone."""
    return run(*words, "--filter", f"label={PROJECT}={settings.name}").stdout.split()


def _container(body: Mapping[str, Any]) -> Container:
    state = body["State"]
    health = state.get("Health") or {}
    checks = health.get("Log") or []
    return Container(
        service=body["Config"]["Labels"]["com.docker.compose.service"],
        state=state["Status"],
        health=health.get("Status", ""),
        exit_code=state["ExitCode"],
        name=body["Name"].lstrip("/"),
        restarts=body["RestartCount"],
        started=datetime.fromisoformat(state["StartedAt"][:19] + "+00:00"),
        last_check=checks[-1]["Output"].strip() if checks else "",
        checkout=body["Config"]["Labels"].get("com.docker.compose.project.working_dir", ""),
    )


def _bytes(text: str) -> int:
    """Read a size such as ``12.3MiB``."""
    units = {"GiB": 2**30, "MiB": 2**20, "KiB": 2**10, "B": 1}
    unit = next(unit for unit in units if text.endswith(unit))
    return int(float(text.removesuffix(unit)) * units[unit])
