"""Write the report of a replay: performance, drift and decisions on one page."""

from prefect import flow, get_run_logger

from flows.common import MINUTE
from stack.project import Project


@flow(name="report", flow_run_name="report {project}", timeout_seconds=120 * MINUTE)
def report(project: str) -> str:
    """Gather what was replayed up to the project's "now", and write it as one HTML page.

    Args:
        project: name of a project that has been replayed.
    """
    from monitoring.replay import page, period

    opened = Project.open(project)
    log = get_run_logger()
    path = page.save(opened.settings, period.collect(opened, log.info))
    address = f"{opened.settings.link('portal')}/reports/{project}/{path.name}"
    log.info("report: %s (%s, %s KB)", address, path, f"{path.stat().st_size / 1024:,.0f}")
    return address
