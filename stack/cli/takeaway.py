"""What leaves the stack: packages of a model, and its pipeline for another orchestrator."""

from __future__ import annotations

from pathlib import Path

import click

from stack.cli.common import current_runtime, main, opened


@main.command()
@click.argument("project")
@click.option("--out", type=click.Path(path_type=Path), default="dist", show_default=True, help="Folder.")
def package(project: str, out: Path) -> None:
    """Pack the champion of PROJECT: a wheel that predicts without the stack, and a Bento."""
    from stack.takeaway import bento, wheel

    subject = opened(project)
    wheel_file = wheel.wheel(subject, out)
    click.echo(f"{wheel_file}\n  pip install it anywhere; from {subject.name}_model import predict")
    bento_file = bento.bento(subject, out)
    tag = bento_file.stem.rpartition("-")
    click.echo(f"{bento_file}\n  bentoml import it, then bentoml serve or bentoml containerize {tag[0]}:{tag[2]}")


@main.command()
@click.argument("project")
@click.option("--to", type=click.Choice(["kubeflow"]), required=True, help="The orchestrator.")
@click.option(
    "--image", default="homelab-mlops:0.1.0", show_default=True, help="The stack's image, where it is pulled."
)
@click.option("--out", type=click.Path(path_type=Path), default="dist", show_default=True, help="Folder.")
def export(project: str, to: str, image: str, out: Path) -> None:
    """Compile the pipeline of PROJECT for another orchestrator."""
    from datetime import UTC, datetime

    from stack.specification.specs import load
    from stack.takeaway import exports

    spec = load(project)
    click.echo(exports.kubeflow(spec, image, spec.clock.first_now or datetime.now(UTC), out))


@main.command()
def notebook() -> None:
    """Open Jupyter with the environment of the running stack."""
    import os

    from stack.core.settings import ROOT

    words, environ = current_runtime().notebook(os.environ, click.echo)
    os.chdir(ROOT)
    os.execvpe(words[0], words, environ)  # noqa: S606  # Jupyter takes the terminal
