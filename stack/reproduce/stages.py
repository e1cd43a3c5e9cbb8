"""The pipeline of a project in four commands between files, without any server: fetch, features, train, evaluate.

``python -m stack.reproduce.stages fetch --project flights ...``: `dvc repro` runs them by ``dvc.yaml``, and a Kubeflow
pipeline each in its own container; `mlflow run` runs all of them, as ``MLproject`` says.
"""

import sys
import warnings
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import click
import pandas as pd
from typing_extensions import override

from stack.core.clock import instant
from stack.core.errors import StackError
from stack.core.notices import Reporter
from stack.reproduce import steps
from stack.specification import tasks
from stack.specification.specs import ProjectSpec, load

ROWS = "training.parquet"
F = TypeVar("F", bound=Callable[..., Any])
Option = Callable[[Any], Any]
PROTOCOL = [click.option(f"--{name}", type=int) for name in ("trials", "folds", "seed", "holdout_days")]
"""Options of the training protocol; those left out are as in project.yaml."""


class Stages(click.Group):
    """Commands whose `StackError` is shown without a traceback."""

    @override
    def invoke(self, ctx: click.Context) -> Any:
        # Warnings of libraries about libraries: Feast calls what DuckDB's binding renames.
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        try:
            return super().invoke(ctx)
        except StackError as error:
            click.echo(f"error: {error}", err=True)
            sys.exit(1)


@click.group(cls=Stages, help=__doc__)
def main() -> None:
    """Run a stage."""


def stage(*options: Option) -> Callable[[F], F]:
    """Add a stage as a command with the option ``--project`` and more; the function can be called as before."""

    def decorate(function: F) -> F:
        command = main.command()(function)
        for option in (click.option("--project", required=True), *options):
            option(command)
        return function

    return decorate


def instant_option(name: str) -> Option:
    """Return an option that is an instant with its zone."""
    return click.option(f"--{name}", required=True, callback=lambda _, __, text: instant(text))


def path(name: str) -> Option:
    """Return an argument that is a path."""
    return click.argument(name, type=click.Path(path_type=Path))


def specification(project: str, **protocol: int | None) -> ProjectSpec:
    """Load a project with the options in its training protocol."""
    spec = load(project)
    chosen: dict[str, Any] = {name: value for name, value in protocol.items() if value is not None}
    if "holdout_days" in chosen:
        chosen["holdout"] = timedelta(days=chosen.pop("holdout_days"))
    return spec.model_copy(update={"training": spec.training.model_copy(update=chosen)})


def reporter(stage: str) -> Reporter:
    """Return a function that prints the progress of a stage."""
    return lambda text: click.echo(f"{stage}: {text}")


@stage(instant_option("since"), instant_option("until"), path("raw"))
def fetch(project: str, since: datetime, until: datetime, raw: Path) -> None:
    """Fetch and check the rows of a project that became known in a window; write them into the folder RAW."""
    report = reporter("fetch")
    tables = steps.fetch(specification(project), since, until, report)
    raw.mkdir(parents=True, exist_ok=True)
    for name, table in tables.items():
        table.to_parquet(raw / f"{name}.parquet", index=False)
        report(f"{len(table):,} rows of {name}")


@stage(instant_option("cutoff"), path("raw"), path("rows"))
def features(project: str, cutoff: datetime, raw: Path, rows: Path) -> None:
    """Make the training set ROWS, a Parquet file, from the tables in RAW and the labels known at the cut-off."""
    spec = specification(project)
    frame = steps.training_set(spec, {name: pd.read_parquet(raw / f"{name}.parquet") for name in spec.tables}, cutoff)
    rows.parent.mkdir(parents=True, exist_ok=True)
    frame.sort_values(["event_timestamp", "event_id"], ignore_index=True).to_parquet(rows, index=False)
    reporter("features")(f"{len(frame):,} labelled rows with {len(spec.features.columns)} features")


@stage(instant_option("cutoff"), *PROTOCOL, path("rows"), path("model"))
def train(project: str, cutoff: datetime, rows: Path, model: Path, **chosen: int | None) -> None:
    """Train on ROWS; write the served form, its reference and the choice of the search into the folder MODEL."""
    from stack.training import intervals, splits, training

    spec, frame, report = specification(project, **chosen), pd.read_parquet(rows), reporter("train")
    choice = steps.search(spec, frame, cutoff, report)
    held_out = splits.holdout(spec, frame, cutoff)
    correction = intervals.correction(spec, held_out, choice.candidate, choice.params)
    training.refit(spec, frame, choice, model, correction)
    steps.write_choice(choice, model)
    report(f"{choice.candidate} is fitted on {len(frame):,} rows")


@stage(
    instant_option("cutoff"),
    *PROTOCOL,
    *(click.option("--gate", is_flag=True), path("rows"), path("model"), path("out")),
)
def evaluate(
    project: str, cutoff: datetime, rows: Path, model: Path, out: Path, gate: bool = False, **chosen: int | None
) -> dict[str, float]:
    """Measure the choice in MODEL on the holdout of ROWS; write metrics, plots and the answers into the folder OUT.

    With --gate, end with 1 unless the limits of the gate are met.
    """
    spec, frame, report = specification(project, **chosen), pd.read_parquet(rows), reporter("evaluate")
    metrics = steps.evaluate(spec, frame, cutoff, steps.read_choice(model), out)
    report(", ".join(f"{name} {metrics[name]:.4f}" for name in tasks.of(spec).headline))
    if gate:
        steps.check_gate(spec, frame, cutoff, model, out)
        report("the gate's limits are met")
    return metrics


@stage(instant_option("until"), *PROTOCOL)
def run(project: str, until: datetime, **chosen: int | None) -> None:
    """Fetch what was known at --until, train, and log parameters, metrics, served form and plots to MLflow."""
    import mlflow

    since = load(project).clock.start
    if until <= since:
        raise StackError("--until", found=until.isoformat(), expected=f"an instant after {since.isoformat()}")
    with TemporaryDirectory() as temporary, mlflow.start_run():
        folder = Path(temporary)
        fetch(project, since, until, folder / "raw")
        features(project, until, folder / "raw", folder / ROWS)
        train(project, until, folder / ROWS, folder / "model", **chosen)
        metrics = evaluate(project, until, folder / ROWS, folder / "model", folder / "evaluation", gate=False, **chosen)
        mlflow.set_tags({"stack.project": project, "stack.cutoff": until.isoformat()})
        mlflow.log_params({"seed": specification(project, **chosen).training.seed})
        mlflow.log_metrics({name: value for name, value in metrics.items() if value == value})  # noqa: PLR0124
        mlflow.log_artifacts(str(folder / "model"), "model")
        mlflow.log_artifacts(str(folder / "evaluation"), "evaluation")


if __name__ == "__main__":
    main()
