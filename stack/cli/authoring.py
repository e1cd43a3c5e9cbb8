"""Making a project: write it, and look at it before anything runs."""

from __future__ import annotations

import sys

import click

from stack.cli.common import main


@main.command()
@click.argument("project")
def check(project: str) -> None:
    """Say what is wrong with PROJECT, in seconds and before anything runs; end with 1 if anything is."""
    from datetime import UTC, datetime

    from stack import check

    found = check.findings(project, datetime.now(UTC))
    for one in found:
        click.echo(f"{one}\n")
    click.echo(f"{project}: {len(found)} to mend" if found else f"{project}: nothing to mend")
    sys.exit(1 if found else 0)
