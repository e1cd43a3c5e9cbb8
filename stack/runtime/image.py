"""The image of our services: built when it is missing, or when what it holds has changed."""

from __future__ import annotations

import hashlib
from fnmatch import fnmatch
from pathlib import Path

from stack import code, project
from stack.runtime import compose, docker
from stack.settings import ROOT, Settings

LABEL = "homelab-mlops.sources"
SERVICE = "migrations"
"""Any service of our image: all share it."""


def outdated() -> bool:
    """Say whether the image is missing or holds other files than the checkout."""
    found = docker.inspect([compose.image()])
    return not found or (found[0]["Config"]["Labels"] or {}).get(LABEL) != sources()


def build(settings: Settings) -> None:
    """Build the image from the checkout.

    Raises:
        StackError: the build failed; holds its last lines.
    """
    docker.compose(settings, "build", SERVICE, CODE_VERSION=code.version(), SOURCES=sources(), EXAMPLES=_examples())


def sources(root: Path = ROOT) -> str:
    """A fingerprint of every file that the image is built from, by the rules of .dockerignore, and of the examples."""
    rules = [line for line in (root / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    kept = [root / line.removeprefix("!") for line in rules if line.startswith("!")]
    dropped = [line.removeprefix("**/") for line in rules if line.startswith("**/")]
    found = sorted(
        {file for path in kept for file in ([path] if path.is_file() else path.rglob("*")) if file.is_file()}
    )
    digest = hashlib.sha256((root / "Dockerfile").read_bytes() + _examples().encode())
    for file in found:
        relative = file.relative_to(root)
        if not any(fnmatch(part, pattern) for part in relative.parts for pattern in dropped):
            digest.update(f"{relative}\0{file.stat().st_mode & 0o111}\0".encode() + file.read_bytes())
    return digest.hexdigest()[:16]


def _examples() -> str:
    """Not empty where the data of the examples is installed: containers then have the projects of this checkout."""
    return "" if project.examples() else "yes"
