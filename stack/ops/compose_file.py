"""docker-compose.yml, the one list of services, as typed objects for the local runtime."""

import hashlib
import json
import re
import shutil
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

import yaml

from stack.core.errors import StackError, nearest
from stack.core.settings import ROOT, Settings
from stack.ops import lan
from stack.ops.interpolation import interpolate

FILE = ROOT / "docker-compose.yml"
PROBE = ["CMD", "python", "-m", "stack.ops.probe"]
WGET = ["CMD", "wget", "--quiet", "--output-document=-"]
"""The same in an image without Python."""
STARTED = "service_started"
"""The condition of a service that is not waited for."""
PROGRAM = "x-program"
"""The program on the PATH by which the local runtime runs a service of another image."""
UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


@dataclass(frozen=True)
class Health:
    """A health check: the arguments of ``stack.ops.probe``, and its times in seconds."""

    probe: tuple[str, ...]
    interval: float
    timeout: float
    retries: int
    start_period: float


@dataclass(frozen=True)
class Service:
    """A service that the local runtime runs as a process."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    health: Health | None
    needs: Collection[str]
    """Names of the services that are ready before it starts."""
    uses: Collection[str]
    """Names of those that it waits for by itself: they start before it, and stop after it."""
    ports: tuple[int, ...]
    grace: float
    """Seconds between the request to stop and the kill."""
    once: bool
    """Runs to its end instead of staying up."""

    @property
    def patience(self) -> float:
        """How long it may take to become healthy, or to end, seconds."""
        return self.health.start_period + self.health.interval * self.health.retries if self.health else 300.0

    @property
    def fingerprint(self) -> str:
        """Changes when the process would have to be started anew."""
        definition = json.dumps([self.command, sorted(self.environment.items())])
        return hashlib.sha256(definition.encode()).hexdigest()[:16]


def services(settings: Settings, file: Path = FILE) -> list[Service]:
    """Read the services that run locally, in the order in which they start.

    They are those of our own image, or of a program of the machine. Another service of another image (a database
    server) is a default of Docker Compose that the embedded ones replace.

    Raises:
        StackError: the file, a variable, a profile or a health check is not as it should be.
    """
    require_known(settings, file)
    active = _active(settings, file, ours=True)
    read = {name: _service(name, body, _values(settings), set(active), file) for name, body in active.items()}
    order = TopologicalSorter({name: [*service.needs, *service.uses] for name, service in read.items()})
    try:
        return [read[name] for name in order.static_order()]
    except CycleError as error:
        names = ", ".join(name for name in read if name in error.args[1])
        raise StackError(str(file), found=f"{names} wait for each other", expected="an order") from None


def environment(settings: Settings) -> dict[str, str]:
    """Return the environment that all services share: tool addresses, telemetry switches, every setting."""
    values = _values(settings)
    return _strings(interpolate(_parsed(FILE)["x-environment"], values, f"{FILE.name}, x-environment"), values)


def image(service: str) -> str:
    """Name and tag of the image of a service."""
    return str(_parsed(FILE)["services"][service]["image"])


def servers(settings: Settings) -> list[str]:
    """Names of the services that only containers have."""
    return list(_active(settings, FILE, ours=False))


def require_known(settings: Settings, file: Path = FILE) -> None:
    """Refuse a profile that no service has, and name the nearest."""
    known = {profile for body in _parsed(file)["services"].values() for profile in body.get("profiles", [])}
    for unknown in sorted(settings.optional - known):
        raise StackError(
            "profiles",
            found=f"{unknown}{nearest(unknown, known)}",
            expected=f"of {', '.join(sorted(known))}",
            todo="PROFILES=<name>, or PROFILES=none",
        )


def require_processes(settings: Settings, file: Path = FILE) -> None:
    """Refuse a profile whose services only containers have, or whose program is not on this machine."""
    for body in _active(settings, file, ours=False).values():
        if profiles := body.get("profiles"):
            raise StackError(
                "profiles",
                found=f"{profiles[0]}, which needs the image {body['image']}",
                expected="containers",
                todo=f"make up RUNTIME=compose PROFILES={settings.profiles}",
            )
    for name, body in _active(settings, file, ours=True).items():
        if "deploy" in body:
            raise StackError(
                f"service {name}",
                found="STACK_PREDICTION_COPIES, which are containers that share a name",
                expected="containers, or STACK_PREDICTION_COPIES=1",
                todo="make up RUNTIME=compose",
            )
        if PROGRAM in body and not shutil.which(body[PROGRAM]):
            raise StackError(
                f"profile {body['profiles'][0]}, service {name}",
                found=f"no program {body[PROGRAM]} on the PATH",
                expected=f"{body[PROGRAM]}, which runs as a process of this stack",
                todo=f"install it (Debian, Ubuntu: apt install {body[PROGRAM]}), or make up RUNTIME=compose",
            )


def _values(settings: Settings) -> dict[str, str]:
    ours = {"CHECKOUT": str(ROOT)} | lan.process_variables(settings)
    return settings.environment() | ours | lan.variables(settings)


def _parsed(file: Path) -> dict[str, Any]:
    try:
        parsed = yaml.load(file.read_text(), getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506  # safe, in C
    except (OSError, yaml.YAMLError) as error:
        raise StackError(str(file), found=str(error), expected="a Compose file", todo="git checkout it") from None
    return dict(parsed)


def _active(settings: Settings, file: Path, *, ours: bool) -> dict[str, Any]:
    """Return the services, those that may be processes or the others, that run with these settings, as in the file.

    Those with a profile that is asked for, and those without a profile unless they run elsewhere.
    """
    wanted, elsewhere = settings.optional, bool(settings.join_url)
    return {
        name: body
        for name, body in _parsed(file)["services"].items()
        if ("build" in body or PROGRAM in body) == ours
        and (wanted & set(body.get("profiles", ())) or not (elsewhere or body.get("profiles")))
    }


def _service(name: str, raw: Any, values: Mapping[str, str], active: Collection[str], file: Path) -> Service:
    where = f"{file.name}, services.{name}"
    body = interpolate(raw, values, where)
    before = {other: how for other, how in body.get("depends_on", {}).items() if other in active}
    uses = [other for other, how in before.items() if how["condition"] == STARTED]
    return Service(
        name=name,
        command=tuple(str(word) for word in body["command"]),
        environment=_strings(body.get("environment", {}), values),
        health=_health(body["healthcheck"], where) if "healthcheck" in body else None,
        needs=[other for other in before if other not in uses],
        uses=uses,
        ports=tuple(int(str(port).split(":")[-2]) for port in body.get("ports", [])),
        grace=seconds(body.get("stop_grace_period", "10s")),
        once=str(body.get("restart", "no")) == "no",
    )


def _health(body: Mapping[str, Any], where: str) -> Health:
    test = body["test"]
    asks = next((words for words in (PROBE, WGET) if test[: len(words)] == words), None)
    if asks is None:
        raise StackError(
            f"{where}.healthcheck.test",
            found=str(test),
            expected=f"{json.dumps(PROBE)[:-1]}, URL, ...], which runs the same in both runtimes",
        )
    times = {name: seconds(body[name]) for name in ("interval", "timeout", "start_period")}
    return Health(probe=tuple(str(word) for word in test[len(asks) :]), retries=int(body["retries"]), **times)


def _strings(environment: Mapping[str, Any], values: Mapping[str, str]) -> dict[str, str]:
    """Return variables as texts; one without a value is passed on where there is one, and else left out."""
    passed_on = {key: values.get(key) if value is None else value for key, value in environment.items()}
    return {key: str(value) for key, value in passed_on.items() if value is not None}


def seconds(text: str) -> float:
    """Read a Compose duration such as ``1m30s``."""
    return sum(float(number) * UNITS[unit] for number, unit in re.findall(r"([\d.]+)(ms|s|m|h)", str(text)))
