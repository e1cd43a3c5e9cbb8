"""The image of our services: built when it is missing, or when what it holds has changed.

Projects are in it, to run it elsewhere, but here the checkout's lie before them: they do not make it old,
unless there is a workspace, as its projects do not cover those of the image.
"""

import hashlib
from fnmatch import fnmatch
from importlib.util import find_spec
from pathlib import Path

from stack.core import code
from stack.core.notices import Reporter
from stack.core.settings import ROOT, Settings, settings
from stack.ops import compose_file
from stack.ops.compose import docker
from stack.specification import specs

LABEL = "homelab-mlops.sources"
SERVICE = "migrations"
"""Any service of our image: all share it."""
USER = 1000
"""Whose processes run in its containers, and whose files lie in the volumes."""
MOUNTED = ("projects", "feature_repo")
"""Folders of the checkout that docker-compose.yml mounts into every container where there is no workspace."""


def outdated() -> bool:
    """Return whether the image is missing or holds other files than the checkout."""
    images = docker.inspect([compose_file.image(SERVICE)])
    return not images or (images[0]["Config"]["Labels"] or {}).get(LABEL) != sources()


def build(settings: Settings, report: Reporter) -> None:
    """Build the image from the checkout; an error holds the last lines of the build."""
    report("building the image (minutes when nothing is cached)")
    docker.compose(settings, "build", *_arguments(), SERVICE)
    report(f"built {compose_file.image(SERVICE)}")


def build_with_jupyter() -> None:
    """Build the image that has Jupyter beside the packages of the services; built layers are not built again."""
    tag = compose_file.image("notebook")
    ran = docker.run("build", *_arguments(), "--target", "notebook", "--tag", tag, ".")
    if ran.returncode:
        raise docker.failure("docker build", ran.stderr.strip())


def sources(root: Path = ROOT) -> str:
    """Return a fingerprint of what the image is built from, by the rules of .dockerignore, and of what comes along."""
    rules = [line for line in (root / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    kept = [root / line.removeprefix("!") for line in rules if line.startswith("!")]
    dropped = [line.removeprefix("**/") for line in rules if line.startswith("**/")]
    files = sorted(
        {file for path in kept for file in ([path] if path.is_file() else path.rglob("*")) if file.is_file()}
    )
    mounted = MOUNTED if settings().workspace == ROOT else ()
    digest = hashlib.sha256((root / "Dockerfile").read_bytes() + "".join(_extras()).encode())
    for file in files:
        relative = file.relative_to(root)
        unwanted = any(fnmatch(part, pattern) for part in relative.parts for pattern in dropped)
        if relative.parts[0] not in mounted and not unwanted:
            digest.update(f"{relative}\0{file.stat().st_mode & 0o111}\0".encode() + file.read_bytes())
    return digest.hexdigest()[:16]


def _arguments() -> list[str]:
    given = (f"CODE_VERSION={code.version()}", f"SOURCES={sources()}", *_extras())
    return [word for argument in given for word in ("--build-arg", argument)]


def _extras() -> tuple[str, str]:
    """Return what containers have because it is installed here: the data of the examples, and the boosters."""
    boosters = "yes" if find_spec("lightgbm") else ""
    return f"EXAMPLES={'' if specs.examples() else 'yes'}", f"BOOSTERS={boosters}"
