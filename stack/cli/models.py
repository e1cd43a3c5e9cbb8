"""Models that other tools have trained."""

from contextlib import redirect_stderr, redirect_stdout
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any

import click

from stack.cli.common import current_runtime, follow, main, opened, settings_with

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@main.command("import")
@click.argument("name")
@click.option("--model", "place", required=True, help="An ONNX file, the folder of an MLflow model, or models:/...")
@click.option("--example", type=FILE, help="JSON object with the values of a row.")
@click.option("--sample", type=FILE, help="Table with rows of the columns, and perhaps the outcome.")
@click.option("--label", default="", help="Name of the outcome; outcome when left out.")
@click.option("--task", default="", help="binary, multiclass or regression, where the output does not say.")
@click.option("--classes", default="", help="Names of the classes in the order of the output, separated by commas.")
@click.option("--output", default="", help="The output with the answer, of several.")
def import_model(name: str, place: str, **wishes: Any) -> None:
    """Make the project NAME of a model that another tool has trained, or its next version, and promote it."""
    from stack.authoring.imported import project, version
    from stack.authoring.imported.columns import Wishes
    from stack.ops import welcome
    from stack.registry import registry
    from stack.specification import specs

    settings, asked = settings_with(), Wishes(**wishes)
    welcome.answer_of_registry(settings, lambda: registry.aliases(settings))
    model = project.read(name, place, asked, settings)
    click.echo(f"{place}, made by {model.graph.made_by}: {model.meaning.note}")
    if name not in specs.names():
        click.echo(f"wrote {project.write(name, model, asked)}")
    subject = opened(name)
    current_runtime().apply_changes(click.echo)
    with redirect_stdout(StringIO()), redirect_stderr(StringIO()):  # MLflow prints what is said below
        number = version.register(subject, model, datetime.now(UTC))
    click.echo(f"version {number} registered")
    follow("promote", name, {})
    click.echo(f"\n$ {welcome.curl(subject)}\n{welcome.answer(subject)}")
