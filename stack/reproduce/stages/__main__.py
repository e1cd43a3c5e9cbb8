"""Train a project without a stack, into the MLflow run of the environment: what ``mlflow run`` calls."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import mlflow

from stack.core.errors import StackError
from stack.reproduce.stages.common import ROWS, moment, protocol, specification, stage
from stack.reproduce.stages.evaluate import evaluate
from stack.reproduce.stages.features import features
from stack.reproduce.stages.fetch import fetch
from stack.reproduce.stages.train import train
from stack.specification.specs import load


@stage(moment("until"), protocol)
def main(project: str, until: datetime, **chosen: int | None) -> None:
    """Fetch what was known at --until, train, and log parameters, metrics, served form and plots to MLflow."""
    since = load(project).clock.start
    if until <= since:
        raise StackError("--until", found=until.isoformat(), expected=f"an instant after {since.isoformat()}")
    with TemporaryDirectory() as made, mlflow.start_run():
        folder = Path(made)
        fetch(project, since, until, folder / "raw")
        features(project, until, folder / "raw", folder / ROWS)
        train(project, until, folder / ROWS, folder / "model", **chosen)
        metrics = evaluate(project, until, folder / ROWS, folder / "model", folder / "evaluation", **chosen)
        mlflow.set_tags({"stack.project": project, "stack.cutoff": until.isoformat()})
        mlflow.log_params({"seed": specification(project, **chosen).training.seed})
        mlflow.log_metrics({name: value for name, value in metrics.items() if value == value})  # noqa: PLR0124
        mlflow.log_artifacts(str(folder / "model"), "model")
        mlflow.log_artifacts(str(folder / "evaluation"), "evaluation")


if __name__ == "__main__":
    main()
