"""Compare models, feature sets and hyper-parameters: on the cores, or on a Dask cluster when one is named."""

from datetime import datetime

from prefect import flow, get_run_logger

from flows.cluster import fitters
from flows.common import MINUTE, instant
from flows.train import training_set
from stack.core import code
from stack.project import Project


@flow(name="sweep", flow_run_name="sweep {project}", timeout_seconds=720 * MINUTE)
def sweep(project: str, trials: int = 50, cutoff: datetime | None = None) -> str:
    """Compare models, feature sets and hyper-parameters of a project; nothing is registered.

    Args:
        project: name of the project.
        trials: until so many are done; those of an earlier sweep of the same data count.
        cutoff: labels known later are not used; the project's "now" when omitted.
    """
    from stack.promotion import apart
    from stack.training import packages
    from stack.training import sweep as sweeps
    from stack.training.training import TrainingSet

    opened, log = Project.open(project), get_run_logger()
    cutoff = instant(opened, cutoff)
    frame = training_set(opened, cutoff)
    data = TrainingSet(frame, cutoff, opened.lake.revision(), code.version())
    if own := packages.installed(opened.settings, opened.spec.folder, log.info):
        done = apart.run("sweep", opened, data, own, log.info, trials=trials)
        best, page = done["best"], str(done["page"])
    else:
        with fitters(opened.settings) as workers:
            result = sweeps.sweep(opened, data, trials=trials, workers=workers, report=log.info)
        best, page = result.best, result.page.name
    log.info("best: %s", best)
    log.info("page: %s/reports/%s/%s", opened.settings.link("portal"), project, page)
    return page
