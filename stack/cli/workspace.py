"""A workspace of one's own, and the test of a project, which its continuous integration runs."""

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import click

from stack.cli.common import main, project_command
from stack.core.errors import StackError


@main.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--examples", default="", help="Projects of the checkout to copy, separated by commas.")
def workspace(folder: Path, examples: str) -> None:
    """Make FOLDER a git repository for your own projects, and let the stack use it from now on."""
    from stack.authoring import workspace
    from stack.core.settings import ROOT, settings
    from stack.ops import credentials

    if settings().workspace != ROOT:
        raise StackError(
            "STACK_WORKSPACE",
            found=f"the workspace {settings().workspace}",
            expected="none yet",
            todo="to begin another one, take the key out of .env or the environment",
        )
    folder = folder.expanduser().resolve()
    copied = [name.strip() for name in examples.split(",") if name.strip()]
    workspace.create(folder, copied)
    credentials.keep({"workspace": str(folder)})
    click.echo(f"made {folder}: a git repository with projects/, feature_repo/, README.md and a CI file")
    click.echo(f"projects in it: {', '.join(copied) or 'none yet'}; those of the checkout are not used from now on")
    click.echo(f"wrote STACK_WORKSPACE={folder} into .env")
    click.echo("then `make new NAME=... FROM=...`, and `make up`, which starts the services with it")


@project_command
def test(project: str) -> None:
    """Try PROJECT out: its checks, features, a quick model and one prediction; then run its own tests, if any."""
    from stack.authoring import rehearsal
    from stack.specification.specs import load

    now = datetime.now(UTC)
    click.echo(rehearsal.run(project, now, lambda line: click.echo(f"trying it out: {line}"), every_row=False))
    tests = load(project).folder / "tests"
    if tests.is_dir():
        sys.exit(subprocess.run([sys.executable, "-m", "pytest", str(tests)], check=False).returncode)
