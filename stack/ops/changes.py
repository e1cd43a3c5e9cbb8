"""What the one-shot services apply: they run again when it has changed."""

from __future__ import annotations

import hashlib
from functools import lru_cache

from stack.core.settings import ROOT
from stack.specification import specs

SOURCES = ("stack", "flows", "services/migrations", "services/tracking", "feature_repo", "projects")


@lru_cache(maxsize=1)
def sources() -> str:
    """Return a fingerprint of code and definitions in the checkout, and of the locked packages."""
    files = sorted(
        path for folder in SOURCES for suffix in ("py", "yaml") for path in (ROOT / folder).rglob(f"*.{suffix}")
    )
    files.append(ROOT / "requirements.lock")
    there = " ".join(specs.names())  # an example is there when its data is installed
    return hashlib.sha256(b"".join([there.encode(), *(path.read_bytes() for path in files)])).hexdigest()[:16]
