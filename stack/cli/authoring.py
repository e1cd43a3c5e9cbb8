"""Making a project: write it, and look at it before anything runs."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import click

from stack.cli.common import main, settings_with
from stack.specification import tasks


@main.command()
@click.argument("name")
@click.option("--from", "file", type=click.Path(path_type=Path), prompt="Which table", help="CSV, TSV or Parquet.")
@click.option("--target", help="Column to be predicted.")
@click.option("--time", help="Column with the instant of a row; none for a table without time.")
@click.option("--keys", help="Columns whose past is known, separated by commas; none for none.")
@click.option("--task", type=click.Choice(list(tasks.KINDS)), help="What is predicted.")
@click.option("--zone", help="Time zone of instants that name none, like Europe/Berlin.")
def new(name: str, file: Path, **wishes: str | None) -> None:
    """Write the project NAME from a table; asks for what is not given, or chooses it and reports the choice."""
    from datetime import UTC, datetime

    from stack.authoring import check
    from stack.authoring.scaffold import project
    from stack.authoring.scaffold.choices import Wishes

    written = project.write(name, file.expanduser(), Wishes(**wishes), datetime.now(UTC), _ask)
    for path in written.paths:
        click.echo(f"wrote {path}")
    click.echo("\n".join(f"  {note}" for note in written.notes))
    for finding in check.findings(name, datetime.now(UTC)):
        click.echo(f"\n{finding}")
    click.echo(
        f"\n{written.lines} lines, {written.to_read} to read: README.md, project.yaml and those marked `# review`"
    )
    click.echo(f"then `make run PROJECT={name}`")


def _ask(question: str, default: str, known: Sequence[str]) -> str:
    """Ask on a terminal; elsewhere the default is the answer."""
    if not sys.stdin.isatty():
        return default
    choices = f" ({', '.join(known)})" if known else ""
    return str(click.prompt(f"{question}{choices}", default=default))


@main.command()
@click.argument("project")
def check(project: str) -> None:
    """Report what is wrong with PROJECT, in seconds and before anything runs; end with 1 if anything is."""
    from datetime import UTC, datetime

    from stack.authoring import check

    findings = check.findings(project, datetime.now(UTC))
    for finding in findings:
        click.echo(f"{finding}\n")
    click.echo(
        f"{project}: {len(findings)} problem{'s' if len(findings) > 1 else ''}"
        if findings
        else f"{project}: no problems"
    )
    sys.exit(1 if findings else 0)


@main.command()
@click.argument("project")
def catalog(project: str) -> None:
    """List every data set of PROJECT: where it is stored, its version, rows and time span."""
    import httpx

    from stack.core.errors import StackError
    from stack.specification.specs import load

    load(project)
    settings = settings_with()
    page = f"{settings.portal_url}/catalog/{project}"
    try:
        answer = httpx.get(f"{page}.json", timeout=60, trust_env=False).raise_for_status()
    except httpx.HTTPError as error:
        raise StackError(page, found=str(error), expected="the data sets", todo="look with `make status`") from None
    for data_set in answer.json():
        rows = "" if data_set["rows"] is None else f"{data_set['rows']:,} rows"
        span = " to ".join(text for text in (data_set["since"], data_set["until"]) if text)
        click.echo(f"{data_set['kind']:<15} {data_set['name']}")
        for text in (
            data_set["place"],
            " · ".join(part for part in (data_set["version"], rows, span, data_set["note"]) if part),
        ):
            click.echo(f"{'':<15}   {text}")
    click.echo(f"\n{settings.address('portal')}/catalog/{project}")
