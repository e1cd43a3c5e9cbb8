"""Reaches into BentoML's package."""

from importlib.util import find_spec
from pathlib import Path


def swagger_ui() -> Path:
    """Return the folder of Swagger UI's files that BentoML installs, without importing BentoML.

    Tool: BentoML
    Reach: bentoml/_internal/server/static_content
    Why: The feature server's own page loads Swagger UI from a CDN; this machine has the same files already.
    Upstream: none known
    """
    spec = find_spec("bentoml")
    return Path(spec and spec.origin or "missing").parent / "_internal" / "server" / "static_content"
