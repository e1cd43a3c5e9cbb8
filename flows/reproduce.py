"""Rebuild a model from its run, on the worker: where the lake is, and the packages that trained it."""

from prefect import flow, get_run_logger, task

from flows.common import MINUTE
from stack.core.settings import settings


@task(timeout_seconds=120 * MINUTE)
def rebuild(run_id: str, as_it_is: bool) -> str:
    """Rebuild and compare; not retried, as a model that differs will differ again."""
    from stack.reproduce import reproduce

    return str(reproduce.reproduce(settings(), run_id, get_run_logger().info, as_it_is=as_it_is))


@flow(name="reproduce", flow_run_name="reproduce {run_id}", timeout_seconds=130 * MINUTE)
def reproduce(project: str, run_id: str, as_it_is: bool = False) -> str:
    """Rebuild the model of a training's run, and compare its metrics and predictions with the recorded ones.

    Args:
        project: name of the project.
        run_id: of the training in MLflow.
        as_it_is: use the code and the packages of the worker, whatever the run recorded.
    """
    get_run_logger().info("rebuilding the model of run %s of %s", run_id, project)
    return rebuild(run_id, as_it_is)
