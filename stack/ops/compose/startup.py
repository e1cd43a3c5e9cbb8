"""Start the containers, and apply what is new in projects/ and feature_repo/ while they go on serving."""

import os
import subprocess
import time
from datetime import UTC, datetime

from stack.core import notices
from stack.core.errors import StackError
from stack.core.notices import Reporter
from stack.core.settings import Settings
from stack.core.variables import key
from stack.core.wait import wait_until
from stack.ops import compose_file, credentials, lan, ports, versions
from stack.ops.compose import docker, image, ownership
from stack.ops.compose_file import Service
from stack.ops.runtimes import applied

PATIENCE = 1200
"""Seconds for all services together; each has its own limit in its health check."""
STAMP = f"{docker.HOME}/run/applied"
"""In the containers' volume: the fingerprint of what the one-shot services have applied."""


def up(settings: Settings, report: Reporter) -> None:
    """Build the image when it is needed, start the stack and wait until every service is healthy.

    Raises:
        StackError: no engine, a taken port, lost passwords, or a service that does not become healthy.
    """
    ownership.require_own(settings)
    if not settings.join_url:
        settings = lan.with_login(_with_passwords(settings), report)
    services = compose_file.services(settings)
    existing, running = docker.containers(settings), docker.running(settings)
    ports.require_free(settings.bind, [service for service in services if service.name not in running])
    if image.outdated():
        image.build(settings, report)
    _prepare_backups(settings, report)
    _lend_projects(settings)
    ownership.claim(settings)
    # Docker Compose lets the services of a profile that is no longer asked for run on.
    if former := set(existing) - {*compose_file.servers(settings), *(service.name for service in services)}:
        docker.compose(settings, *docker.EVERYTHING, "rm", "--stop", "--force", *sorted(former))
    _Start(settings, services, report).run()
    if not settings.join_url:
        _note_applied(settings)


def _prepare_backups(settings: Settings, report: Reporter) -> None:
    """Make the folder of the backups one that the containers' user writes to; Docker would make it root's."""
    folder, user = settings.backup_folder, image.USER
    folder.mkdir(parents=True, exist_ok=True)
    if os.getuid() == 0 and folder.stat().st_uid == 0:
        os.chown(folder, user, user)
    if settings.backup_daily and folder.stat().st_uid != user:
        report(f"backups: the containers' user, {user}, may not be able to write to {folder}: chown {user} it")


def _lend_projects(settings: Settings) -> None:
    """Let the containers' user write to projects that are root's, as the portal makes and changes them."""
    if os.getuid() == 0:
        for path in [settings.projects, *settings.projects.rglob("*")]:
            if path.lstat().st_uid == 0:
                os.chown(path, image.USER, image.USER, follow_symlinks=False)


def apply_changes(settings: Settings, report: Reporter) -> None:
    """Run the one-shot services again if something has changed; an error holds the end of the log of the failed one."""
    if docker.WORKER not in docker.running(settings):
        return
    if docker.inside(settings, "sh", "-c", '[ ! -e "$0" ] || cat "$0"', STAMP).strip() == versions.sources():
        return
    for name in [service.name for service in compose_file.services(settings) if service.once]:
        for notice in applied(f"service {name}", ["docker", "start", "--attach", docker.container(settings, name)]):
            report(f"  {name:<12} {notice}")
    _note_applied(settings)


def _note_applied(settings: Settings) -> None:
    """Remember that the one-shot services have applied what is in the checkout now."""
    docker.inside(settings, "sh", "-c", f'mkdir -p "${{0%/*}}" && echo {versions.sources()} > "$0"', STAMP)


def _with_passwords(settings: Settings) -> Settings:
    """Generate the passwords of a new stack; an existing server goes on with those that its volume has."""
    volume = next((name for name in docker.volumes(settings) if name.endswith("_postgres")), None)
    if volume and (lost := credentials.missing(settings, credentials.PASSWORDS)):
        raise StackError(
            str(credentials.FILE),
            found=f"no {', '.join(key(name) for name in lost)}",
            expected=f"the passwords that volume {volume} was made with",
            todo="bring back the .env of this stack, or delete its state with `make clean`",
        )
    return credentials.complete(settings)


class _Start:
    """A `docker compose up`, whose progress is reported."""

    def __init__(self, settings: Settings, services: list[Service], report: Reporter) -> None:
        self._settings, self._services, self._report = settings, services, report
        self._once = {service.name for service in services if service.once}
        self._began, self._since = time.monotonic(), datetime.now(UTC)  # of the engine's clock, not of a project's
        self._ready: set[str] = set()

    def run(self) -> None:
        """Let Docker Compose start everything in order; report what is ready, and name what does not become healthy."""
        words = ["up", "--detach", "--wait", "--wait-timeout", str(PATIENCE), "--remove-orphans", "--quiet-pull"]
        if self._settings.join_url:
            words += ["--no-deps", *(service.name for service in self._services)]
        with docker.started(self._settings, *words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
            while process.poll() is None:
                time.sleep(0.5)
                self._report_ready()
            errors = (process.stderr.read() if process.stderr else "").strip().splitlines()
        self._report_ready()
        if process.returncode or not self._ended():
            raise _failure(self._settings, errors)

    def _ended(self) -> bool:
        """Wait until no one-shot service runs; for Docker Compose, one that still runs is started like the others."""

        def over() -> bool:
            self._report_ready()
            found = docker.containers(self._settings)
            return all(found[name].state == "exited" for name in self._once & found.keys())

        wait_until(over, PATIENCE)
        self._report_ready()
        return self._once <= self._ready

    def _report_ready(self) -> None:
        """Report the services that have become ready."""
        for name, container in docker.containers(self._settings).items():
            if name in self._once:
                ended = container.state == "exited" and container.exit_code == 0
                ready, state = ended and container.started >= self._since.replace(microsecond=0), "done"
            else:
                ready, state = (container.health or container.state) in ("healthy", "running"), "healthy"
            if not ready:
                self._ready.discard(name)  # it was replaced by a container of the new image
            elif name not in self._ready:
                self._ready.add(name)
                self._report(f"  {name:<12} {state:<7} after {time.monotonic() - self._began:5.1f} s")
                log = _tail(self._settings, name, 200, self._since) if name in self._once else []
                for notice in notices.read(log):
                    self._report(f"  {name:<12} {notice}")


def _failure(settings: Settings, errors: list[str]) -> StackError:
    """Name the service that kept the stack from starting, with the end of its log."""
    for name, container in docker.containers(settings).items():
        ended = container.state == "exited" and container.exit_code
        if ended or container.health == "unhealthy" or container.state == "restarting":
            state = container.last_check or container.state
            problem = f"it ended with exit code {container.exit_code}" if ended else state
            return StackError(
                f"service {name}",
                found="\n".join([problem, *_tail(settings, container.service, 12)]),
                expected="a healthy service",
                todo=f"read `make logs SERVICE={name}`, run `make doctor`, then `make up` again",
            )
    return StackError("docker compose up", found="\n".join(errors[-12:]), expected="running services")


def _tail(settings: Settings, name: str, lines: int, since: datetime | None = None) -> list[str]:
    words = ["logs", "--no-color", "--no-log-prefix", "--tail", str(lines), name]
    words += ["--since", since.isoformat(timespec="seconds")] if since else []
    return docker.compose(settings, *words, check=False).stdout.splitlines()
