"""Compile a project's pipeline for Kubeflow: the four stages, each in a container of the stack's image.

A script that runs with the packages of requirements-export.lock, as Kubeflow's compiler needs an older protobuf than
MLflow; it imports nothing of the stack.
"""

# mypy: disable-error-code="import-not-found, no-untyped-def, untyped-decorator"

import sys
from typing import Any

from kfp import compiler, dsl

PYTHON = ["python", "-m"]


def pipeline(project: str, image: str, since: str, until: str) -> Any:
    """Define the pipeline; window and search can be chosen for each run."""

    def contained(stage: str, *arguments: Any) -> dsl.ContainerSpec:
        return dsl.ContainerSpec(
            image=image, command=[*PYTHON, "stack.reproduce.stages", stage], args=["--project", project, *arguments]
        )

    @dsl.container_component
    def fetch(since: str, until: str, raw: dsl.Output[dsl.Dataset]):  # noqa: ANN202
        """Fetch the rows of a window and check them."""
        return contained("fetch", "--since", since, "--until", until, raw.path)

    @dsl.container_component
    def features(until: str, raw: dsl.Input[dsl.Dataset], rows: dsl.Output[dsl.Dataset]):  # noqa: ANN202
        """Compute features, and join each event with those of its own instant."""
        return contained("features", "--cutoff", until, raw.path, rows.path)

    @dsl.container_component
    def train(until: str, trials: int, rows: dsl.Input[dsl.Dataset], model: dsl.Output[dsl.Model]):  # noqa: ANN202
        """Search the candidates, and fit the best one on every row."""
        return contained("train", "--cutoff", until, "--trials", trials, rows.path, model.path)

    @dsl.container_component
    def evaluate(  # noqa: ANN202
        until: str, rows: dsl.Input[dsl.Dataset], model: dsl.Input[dsl.Model], evaluation: dsl.Output[dsl.Artifact]
    ):
        """Measure the choice on the holdout; fail unless the gate's limits are met."""
        return contained("evaluate", "--cutoff", until, "--gate", rows.path, model.path, evaluation.path)

    @dsl.pipeline(name=project, description=f"Fetch, features, train and evaluate {project}")
    def whole(since: str = since, until: str = until, trials: int = 8) -> None:
        fetched = fetch(since=since, until=until)
        joined = features(until=until, raw=fetched.outputs["raw"])
        trained = train(until=until, trials=trials, rows=joined.outputs["rows"])
        evaluate(until=until, rows=joined.outputs["rows"], model=trained.outputs["model"])

    return whole


if __name__ == "__main__":
    project, image, since, until, out = sys.argv[1:]
    compiler.Compiler().compile(pipeline(project, image, since, until), out)
