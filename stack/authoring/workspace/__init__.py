"""Make a workspace: a git repository with the user's own projects, which an upgrade of the stack does not touch."""

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from stack.authoring import templates
from stack.core import code
from stack.core.errors import StackError, nearest
from stack.core.settings import ROOT

TEMPLATES = Path(__file__).parent / "templates"
FILES = {"README.md": "README.md", "gitignore": ".gitignore", "check.yml": ".github/workflows/check.yml"}
"""Template -> its place in the workspace."""
UNKNOWN = "https://example.com/homelab-mlops.git"
"""In the CI file where the checkout has no remote: to be replaced."""


def create(folder: Path, examples: Sequence[str] = ()) -> None:
    """Make a workspace of an empty folder, or of a new one, with copies of some of the checkout's projects.

    Raises:
        StackError: the folder is in use or in the checkout, a project is unknown, or git does not run.
    """
    _require_free(folder)
    known = [path.parent.name for path in sorted(ROOT.glob("projects/*/project.yaml"))]
    for name in examples:
        if name not in known:
            found = f"{name!r}{nearest(name, known)}"
            raise StackError("EXAMPLES", found=found, expected=f"some of {', '.join(known)}")
    try:
        for part in ("projects", "feature_repo"):
            (folder / part).mkdir(parents=True)
        subprocess.run(["git", "init", "--quiet"], cwd=folder, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        found = (getattr(error, "stderr", "") or str(error)).strip()
        raise StackError(str(folder), found=found, expected="a folder in which `git init` runs") from None
    shutil.copy(ROOT / "feature_repo" / "declared.py", folder / "feature_repo")
    (folder / "projects" / ".gitkeep").touch()
    for name in examples:
        shutil.copytree(
            ROOT / "projects" / name, folder / "projects" / name, ignore=shutil.ignore_patterns("__pycache__")
        )
        if (module := ROOT / "feature_repo" / f"{name}.py").is_file():
            shutil.copy(module, folder / "feature_repo")
    for template, place in FILES.items():
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        (folder / place).write_text(templates.filled(TEMPLATES / f"{template}.jinja", {"stack": _remote()}))


def _require_free(folder: Path) -> None:
    """Refuse a folder that holds something, and one that an upgrade of the stack might touch."""
    if folder.is_relative_to(ROOT):
        raise StackError(f"DIR, {folder}", found="a folder of the stack's checkout", expected="one outside it")
    if not folder.exists():
        return
    held = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else None
    if held or held is None:
        names = ", ".join(held[:5]) + (" ..." if held[5:] else "") if held else "a file"
        todo = "name another folder"
        if (folder / "projects").is_dir():
            todo = f"to use the workspace that it is, write STACK_WORKSPACE={folder} into .env"
        raise StackError(f"DIR, {folder}", found=names, expected="an empty folder, or none yet", todo=todo)


def _remote() -> str:
    """Return where continuous integration clones the stack from."""
    try:
        return code.git("remote", "get-url", "origin")
    except (OSError, subprocess.CalledProcessError):
        return UNKNOWN
