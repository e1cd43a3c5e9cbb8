"""The Compose runtime: the services of docker-compose.yml as containers."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta

import psutil

from stack.core.errors import StackError, nearest
from stack.core.settings import Settings
from stack.ops import applied, compose, credentials, docker, doctor, image, lan, ownership, ports, shell, startup
from stack.ops.applied import take_up
from stack.ops.compose import Service
from stack.ops.docker import Container
from stack.ops.doctor import Finding
from stack.ops.exchange import copies as exchange
from stack.ops.startup import Say
from stack.ops.status import Row

__all__ = [
    "NAME",
    "clean",
    "down",
    "exchange",
    "exports",
    "findings",
    "logs",
    "place",
    "rows",
    "running",
    "take_up",
    "unfit",
    "up",
]
NAME = "compose"
EVERYTHING = ("--profile", "*")
PATIENCE = 600
"""Seconds for all services together; each has its own limit in its health check."""


def unfit(settings: Settings) -> str | None:
    """Why this runtime cannot be used here; None when it can."""
    return docker.engine()


def running(settings: Settings) -> bool:
    """Say whether a container of the stack runs; those of another checkout are none of it."""
    there = docker.containers(settings).values()
    return any(one.running for one in there) and not ownership.stranger(settings)


def place(settings: Settings) -> str:
    """Where the state lies; empty when there is none, or it is another checkout's."""
    return "" if ownership.stranger(settings) else ", ".join(docker.volumes(settings))


def up(settings: Settings, say: Say) -> None:
    """Build the image when it is needed, start the stack and wait until every service is healthy.

    Raises:
        StackError: no engine, a taken port, lost passwords, or a service that does not become healthy.
    """
    ownership.require_own(settings)
    if not settings.join_url:
        settings = lan.with_login(_with_passwords(settings), say)
    services = compose.services(settings)
    there = docker.containers(settings)
    ports.require_free(settings, [one for one in services if one.name not in there or not there[one.name].running])
    if image.outdated():
        say("building the image (minutes when nothing is cached)")
        image.build(settings)
        say(f"built {compose.image()}")
    ownership.claim(settings)
    _remove(settings, set(there) - {*compose.servers(settings), *(one.name for one in services)})
    _start(settings, services, say)
    if not settings.join_url:
        applied.note(settings)
    if lan.wanted(settings):
        say(f"machines that train join with KEY={lan.fingerprint(settings)}.<password>")


def down(settings: Settings) -> list[str]:
    """Remove the containers; their volumes stay.

    Returns:
        Names of the services that ran.
    """
    ownership.require_own(settings)
    ran = sorted(one.service for one in docker.containers(settings).values() if one.running)
    docker.compose(settings, *EVERYTHING, "down", "--remove-orphans")
    return ran


def clean(settings: Settings) -> None:
    """Remove the containers and their volumes."""
    ownership.require_own(settings)
    docker.compose(settings, *EVERYTHING, "down", "--remove-orphans", "--volumes")


def rows(settings: Settings) -> list[Row]:
    """Look at every service, the database servers first."""
    ownership.require_own(settings)
    services = {service.name: service for service in compose.services(settings)}
    found, memory = docker.containers(settings), docker.memory(settings)
    return [_row(name, services.get(name), found.get(name), memory) for name in [*compose.servers(settings), *services]]


def logs(settings: Settings, service: str | None, lines: int, follow: bool) -> Iterator[str]:
    """Yield the last lines of a service's log, or of all logs, then those that are written.

    Raises:
        StackError: there is no such service.
    """
    known = list(docker.containers(settings))
    if service and service not in known:
        raise StackError(
            f"log of {service}",
            found=f"no such container{nearest(service, known)}",
            expected=f"one of {', '.join(known) or 'none yet'}",
            todo="make logs SERVICE=<name>",
        )
    words = ["logs", "--no-color", "--tail", str(lines), *(["--follow"] if follow else [])]
    words += ["--no-log-prefix", service] if service else []
    command = docker.command(settings, *EVERYTHING, *words)
    with subprocess.Popen(
        command, cwd=compose.FILE.parent, env=docker.environment(settings), stdout=subprocess.PIPE, text=True
    ) as process:
        yield from (line.rstrip("\n") for line in process.stdout or ())


def exports(settings: Settings, inherited: Mapping[str, str]) -> str:
    """Shell exports of what is reached from outside; `feast` and `dvc` run in a container, where their files are."""
    inside = {"STACK_BIND", "STACK_ONLINE_STORE_TYPE", "FEAST_FS_YAML_FILE_PATH"}
    shared = compose.environment(settings)
    reachable = {key: value for key, value in shared.items() if key not in inside and str(settings.home) not in value}
    run = f"docker exec --interactive --workdir {{}} {settings.name}-worker-1"
    return "\n".join(
        [
            shell.lines(reachable, inherited),
            f'feast() {{ {run.format("/app/feature_repo")} feast "$@"; }}',
            f'dvc() {{ {run.format("/var/lib/stack/lake")} dvc "$@"; }}',
        ]
    )


def findings(settings: Settings) -> list[Finding]:
    """Look at the engine, secrets, disk, memory, the image, and every service."""
    problem = docker.engine()
    if problem:
        return [Finding("Docker", False, problem, "install Docker with Compose v2, or use `make up RUNTIME=local`")]
    if stranger := ownership.stranger(settings):
        name = f"containers and volumes of the name {settings.name} are of {stranger}"
        return [Finding("STACK_NAME", False, name, "set STACK_NAME and other ports in .env")]
    alive = running(settings)
    return [
        Finding("Docker", True, "an engine with Compose answers"),
        doctor.secrets(settings),
        doctor.disk(settings.home),
        doctor.memory(psutil.virtual_memory().available, alive),
        *([_image()] if alive else []),
        *_services(settings, alive),
    ]


def _with_passwords(settings: Settings) -> Settings:
    """Make up the passwords of a new stack; a server that exists goes on with those that it was made with."""
    kept = [name for name in docker.volumes(settings) if name.endswith("_postgres")]
    if kept and (lost := credentials.missing(settings)):
        raise StackError(
            str(credentials.FILE),
            found=f"no {', '.join(f'STACK_{name}'.upper() for name in lost)}",
            expected=f"the passwords that volume {kept[0]} was made with",
            todo="bring back the .env of this stack, or delete its state with `make clean`",
        )
    return credentials.complete(settings)


def _remove(settings: Settings, names: set[str]) -> None:
    """Remove the containers of services that are no longer asked for: Docker Compose lets those of a profile run on."""
    if names:
        docker.compose(settings, *EVERYTHING, "rm", "--stop", "--force", *sorted(names))


def _start(settings: Settings, services: list[Service], say: Say) -> None:
    """Let Docker Compose start everything in order, and tell what is ready."""
    began = time.monotonic()
    since = datetime.now(UTC)  # of the engine's clock, not of a project's
    words = ["up", "--detach", "--wait", "--wait-timeout", str(PATIENCE), "--remove-orphans", "--quiet-pull"]
    if settings.join_url:
        words += ["--no-deps", *(one.name for one in services)]
    told: set[str] = set()
    once = {service.name for service in services if service.once}
    with subprocess.Popen(
        docker.command(settings, *words),
        cwd=compose.FILE.parent,
        env=docker.environment(settings),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        while process.poll() is None:
            time.sleep(0.5)
            _tell(settings, once, told, began, since, say)
        errors = (process.stderr.read() if process.stderr else "").strip().splitlines()
    _tell(settings, once, told, began, since, say)
    if process.returncode:
        raise _failure(settings, errors)


def _tell(settings: Settings, once: set[str], told: set[str], began: float, since: datetime, say: Say) -> None:
    for name, one in docker.containers(settings).items():
        ready = _done(one, since) if name in once else one.health == "healthy"
        if not ready:
            told.discard(name)  # it was replaced by one of the new image
        if not ready or name in told:
            continue
        told.add(name)
        say(f"  {name:<12} {'done' if name in once else 'healthy':<7} after {time.monotonic() - began:5.1f} s")
        if name in once:
            for line in startup.left_out(_tail(settings, name, 200, since)):
                say(f"  {name:<12} {line}")


def _done(one: Container, since: datetime) -> bool:
    return one.state == "exited" and one.exit_code == 0 and one.started >= since.replace(microsecond=0)


def _failure(settings: Settings, errors: list[str]) -> StackError:
    """Name the service that kept the stack from starting, with the end of its log."""
    for name, one in docker.containers(settings).items():
        ended = one.state == "exited" and one.exit_code
        if ended or one.health == "unhealthy" or one.state == "restarting":
            problem = f"it ended with exit code {one.exit_code}" if ended else one.last_check or one.state
            return StackError(
                f"service {name}",
                found="\n            ".join([problem, *_tail(settings, name, 12)]),
                expected="a healthy service",
                todo=f"read `make logs SERVICE={name}`, run `make doctor`, then `make up` again",
            )
    return StackError("docker compose up", found="\n            ".join(errors[-12:]), expected="running services")


def _tail(settings: Settings, name: str, lines: int, since: datetime | None = None) -> list[str]:
    words = ["logs", "--no-color", "--no-log-prefix", "--tail", str(lines), name]
    words += ["--since", since.isoformat(timespec="seconds")] if since else []
    return docker.compose(settings, *words, check=False).stdout.splitlines()


def _row(name: str, service: Service | None, one: Container | None, memory: Mapping[str, int]) -> Row:
    age = datetime.now(UTC) - one.started if one and one.running else timedelta()
    return Row(
        name=name,
        health=_health(service, one),
        port=service.ports[0] if service and service.ports else None,
        memory=memory.get(one.name, 0) if one else 0,
        restarts=one.restarts if one else 0,
        uptime=timedelta(seconds=round(age.total_seconds())),
    )


def _health(service: Service | None, one: Container | None) -> str:
    if one is None:
        return "stopped"
    if service and service.once and one.state == "exited":
        return f"failed with exit code {one.exit_code}" if one.exit_code else "done"
    if not one.running:
        return f"does not run ({one.state}); see `make logs SERVICE={one.service}`"
    return f"unhealthy ({one.last_check})" if one.health == "unhealthy" else one.health or one.state


def _image() -> Finding:
    old = image.outdated()
    return Finding("image", not old, "other files than the checkout" if old else "as the checkout", "make up")


def _services(settings: Settings, alive: bool) -> Iterator[Finding]:
    if alive:
        for row in rows(settings):
            yield Finding(row.name, row.well, row.health, f"make logs SERVICE={row.name}")
        return
    for service in compose.services(settings):
        for port in service.ports:
            if ports.taken(settings.bind, port):
                yield doctor.taken(service, port)
