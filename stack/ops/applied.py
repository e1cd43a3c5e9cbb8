"""What is new in projects/ and feature_repo/, taken up by containers that go on serving."""

from __future__ import annotations

import subprocess

from stack.core.errors import StackError
from stack.core.settings import Settings
from stack.ops import compose, docker, startup
from stack.ops.startup import Say

STAMP = "/var/lib/stack/run/applied"
"""In the containers' volume: the fingerprint of what the one-shot services have applied."""


def take_up(settings: Settings, say: Say) -> None:
    """Run the one-shot services again if something has changed; nothing else is started or stopped.

    Raises:
        StackError: one of them fails; holds the end of its log.
    """
    running = {one.service for one in docker.containers(settings).values() if one.running}
    if "worker" not in running or _stamped(settings) == startup.sources():
        return
    for service in compose.services(settings):
        if service.once:
            _again(settings, service.name, say)
    note(settings)


def note(settings: Settings) -> None:
    """Remember that the one-shot services have applied what is in the checkout now."""
    docker.inside(settings, "sh", "-c", f'mkdir -p "${{0%/*}}" && echo {startup.sources()} > "$0"', STAMP)


def _stamped(settings: Settings) -> str:
    return docker.inside(settings, "sh", "-c", '[ ! -e "$0" ] || cat "$0"', STAMP).strip()


def _again(settings: Settings, name: str, say: Say) -> None:
    command = ["docker", "start", "--attach", f"{settings.name}-{name}-1"]
    ran = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    lines = ran.stdout.splitlines()
    if ran.returncode:
        raise StackError(
            f"service {name}",
            found="\n            ".join([f"it ended with exit code {ran.returncode}", *lines[-12:]]),
            expected="what is new in projects/ and feature_repo/ to be applied",
            todo="run `make check` on the project that is new, then this again",
        )
    for line in startup.left_out(lines):
        say(f"  {name:<12} {line}")
