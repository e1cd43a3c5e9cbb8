"""Which version could run: the one of the checkout, and the newest that its repository has."""

import re
import subprocess

from stack.core import code
from stack.core.errors import StackError
from stack.core.settings import ROOT
from stack.core.version import stated, version

PATIENCE_SECONDS = 20
TAG = re.compile(r"refs/tags/v(\d+\.\d+\.\d+)$", re.MULTILINE)


def checked_out() -> str:
    """Return the version of the checkout where it is newer than the running one; empty where it is not."""
    there = stated()
    return there if _numbers(there) > _numbers(version()) else ""


def newest() -> str:
    """Ask the repository that the checkout comes from for its newest release; empty where this is the newest.

    Raises:
        StackError: there is no such repository, or it does not answer.
    """
    try:
        listed = code.git("ls-remote", "--tags", "--refs", "origin", at=ROOT, patience=PATIENCE_SECONDS)
    except (OSError, subprocess.SubprocessError) as error:
        said = (getattr(error, "stderr", "") or str(error)).strip().splitlines()
        raise StackError(
            "the repository of the stack",
            found=said[-1] if said else "no answer",
            expected="its releases",
            todo="run `git fetch --tags` in the checkout, on the machine",
        ) from None
    there = max(TAG.findall(listed), key=_numbers, default=version())
    return there if _numbers(there) > _numbers(version()) else ""


def _numbers(release: str) -> tuple[int, ...]:
    return tuple(map(int, release.split(".")))
