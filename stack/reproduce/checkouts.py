"""The code and the packages of a recorded training: this checkout, or a git worktree of its commit."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stack.core import code
from stack.core.errors import StackError
from stack.core.notices import Reporter
from stack.core.settings import ROOT, settings
from stack.reproduce import rebuild
from stack.specification import specs
from stack.training import packages

FORMER = {"stack.ops.bootstrap": "stack.bootstrap", "stack.reproduce.rebuild": "stack.rebuild"}
"""Module -> its name in the commits of release 0.1."""
ANYWAY = "ANYWAY=1 compares with code and packages as they are now"


@dataclass(frozen=True)
class Checkout:
    """Code, and an interpreter with its packages."""

    folder: Path
    python: Path
    workspace: Path | None = None
    """Where it finds the projects, if not in the folder."""
    packages: Path | None = None
    """Folder with the packages that the project brings along."""

    def run(self, words: list[str], environ: Mapping[str, str], report: Reporter) -> None:
        """Run a module of the checkout and report its output line by line; a StackError holds the last lines."""
        path = self.folder.joinpath(*words[0].split(".")).with_suffix(".py")
        module = words[0] if path.is_file() else FORMER.get(words[0], words[0])
        # Commits before there were workspaces refuse the key.
        own = {"STACK_WORKSPACE": str(self.workspace)} if self.workspace not in (None, self.folder) else {}
        process = subprocess.Popen(
            [str(self.python), "-m", module, *words[1:]],
            cwd=self.folder,
            env={**environ, "PYTHONPATH": os.pathsep.join(map(str, filter(None, (self.folder, self.packages)))), **own},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        lines: list[str] = []
        for line in process.stdout or ():
            lines.append(line.rstrip())
            report(lines[-1])
        if process.wait():
            last = " | ".join(lines[-4:]) or f"exit code {process.returncode}"
            raise StackError(f"{words[0]} in {self.folder}", found=last, expected="a run that ends well")


def is_of_this_code(recipe: Mapping[str, Any]) -> bool:
    """Return whether this checkout has the code and the packages of a recipe."""
    return not rebuild.differences(recipe) and recipe.get("code_digest") == code.digest(recipe["project"])


@contextmanager
def recorded(
    recipe: Mapping[str, Any],
    folder: Path,
    report: Reporter,
    *,
    kept: Path | None = None,
    as_it_is: bool = False,
) -> Iterator[Checkout]:
    """Yield the code and the packages that a recipe names.

    Args:
        recipe: ``recipe.json`` of the run.
        folder: for a worktree, if one is needed; it is removed afterwards.
        kept: the files that no commit has, as the run kept them.
        as_it_is: this checkout with its packages, whatever the recipe names.

    Raises:
        StackError: no commit has that code, or its packages cannot be installed.
    """
    own = settings().workspace
    commit, project = recipe["code_version"].removesuffix(code.DIRTY), Path("projects", recipe["project"])
    here = Checkout(
        ROOT, Path(sys.executable), own, packages.installed(settings(), own / project, report, recorded=True)
    )
    if as_it_is or is_of_this_code(recipe):
        report(f"code of this checkout{', as it is' if as_it_is else ''}; recorded: {recipe['code_version'][:12]}")
        yield here
        return
    _require_commit(recipe, commit, kept)
    with _worktree(ROOT, commit, folder), _workspace(recipe, folder.with_name("workspace"), report) as workspace:
        report(f"code of commit {commit[:12]}, in a worktree of its own")
        if kept and recipe["uncommitted"]:
            for name in recipe["uncommitted"]:
                code.put_back([name], kept, workspace if workspace and code.is_of_workspace(name) else folder)
            report(f"with {len(recipe['uncommitted'])} files that were not committed, as the run kept them")
        if off := rebuild.differences(recipe):
            report(f"building its environment: {rebuild.describe(off)}")
            # An example is a project only where the package of its data is installed.
            examples = bool(specs.package((workspace or folder) / "projects" / recipe["project"] / "project.yaml"))
            extra = "onnxmltools" in recipe["packages"]
            words = ["stack.ops.bootstrap", *["--examples"] * examples, *["--boosters"] * extra]
            Checkout(folder, here.python).run(words, os.environ, report)
        python = folder / ".venv/bin/python" if off else here.python
        installed = packages.installed(settings(), (workspace or folder) / project, report, recorded=True)
        yield Checkout(folder, python, workspace, installed)


@contextmanager
def _worktree(repository: Path, commit: str, folder: Path) -> Iterator[None]:
    """Check a commit out into a folder for the time of the context."""
    code.git("worktree", "prune", at=repository)
    code.git("worktree", "add", "--detach", str(folder), commit, at=repository)
    try:
        yield
    finally:
        code.git("worktree", "remove", "--force", str(folder), at=repository)


@contextmanager
def _workspace(recipe: Mapping[str, Any], folder: Path, report: Reporter) -> Iterator[Path | None]:
    """Yield the workspace at the commit of a recipe, empty if it had none; None where the checkout was it."""
    version, own = recipe.get("workspace_version"), settings().workspace
    if version is None:
        yield None
        return
    if not version:
        folder.mkdir()
        yield folder
        return
    commit = version.removesuffix(code.DIRTY)
    try:
        code.git("cat-file", "-e", f"{commit}^{{commit}}", at=own)
    except (OSError, subprocess.CalledProcessError):
        raise StackError(
            f"workspace of the run, {version}",
            found=f"no such commit in {own}",
            expected="the git repository that the project was in, with its history",
            todo=f"name it in STACK_WORKSPACE, after `git fetch` there; {ANYWAY}",
        ) from None
    with _worktree(own, commit, folder):
        report(f"workspace of commit {commit[:12]}")
        yield folder


def _require_commit(recipe: Mapping[str, Any], commit: str, kept: Path | None) -> None:
    """Refuse code that neither a commit nor the run has, or a commit that this checkout does not know."""
    where = f"code of the run, {recipe['code_version']}"
    files, versions = recipe.get("uncommitted"), [recipe["code_version"], recipe.get("workspace_version")]
    unknown = files is None and any(version == "" or (version or "").endswith(code.DIRTY) for version in versions)
    if (files and kept is None) or unknown:
        names = ", ".join(files[:8]) + (" ..." if files[8:] else "") if files else "not named"
        raise StackError(
            where,
            found=f"changes that were not committed: {names}",
            expected="a training of committed code, or a checkout that is still as it was then",
            todo=f"commit, then train; {ANYWAY}",
        )
    try:
        if not code.git("ls-tree", commit, "stack/reproduce/rebuild.py", "stack/rebuild.py"):
            raise OSError(commit)
    except (OSError, subprocess.CalledProcessError):
        raise StackError(
            where,
            found=f"no such commit in {ROOT}, or one that cannot rebuild",
            expected="a git checkout with the history of the recorded code",
            todo=f"run it in a clone, after `git fetch`; {ANYWAY}",
        ) from None
