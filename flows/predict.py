"""Batch scoring of a file or of a window, and scheduled predictions, by the champion."""

from datetime import datetime, timedelta
from pathlib import Path

from prefect import flow, get_run_logger, task

from flows.cluster import cluster
from flows.common import MINUTE, RETRIES, instant
from stack.project import Project

HOUR = 60 * MINUTE


@task(timeout_seconds=24 * HOUR, **RETRIES)
def score(project: Project, source: str | tuple[datetime, datetime], output: Path, now: datetime) -> int:
    """Write the predictions of a file or a window to `output`; return the number of rows."""
    from stack.serving import chunks, scoring

    if isinstance(source, str):
        with cluster(project.settings) as workers:
            return scoring.file(project, Path(source), output, now, get_run_logger().info, workers)
    answers = scoring.window(project, *source)
    with chunks.writing(output) as writer:
        writer.write(answers)
    return len(answers)


@task(timeout_seconds=24 * HOUR, **RETRIES)
def answer(project: Project, until: datetime) -> int:
    """Answer, log and publish what has been asked since the last scheduled prediction; return the number of rows."""
    from stack.serving import scheduled

    return scheduled.answer(project, until)


@flow(name="predict", flow_run_name="predict {project}", timeout_seconds=24 * HOUR)
def predict(
    project: str,
    since: datetime | None = None,
    until: datetime | None = None,
    input: str | None = None,  # noqa: A002  # the name that a user of `make predict INPUT=` knows
    output: str | None = None,
    scheduled: bool = False,
) -> str:
    """Score a file of any size, or every event of (since, until]; or answer what the schedule is for.

    Args:
        project: name of the project.
        since: start of the window; the project's "now" when omitted.
        until: end of the window; a day after `since` when omitted.
        input: CSV or Parquet file with the request fields, or a folder of Parquet files, instead of a window. A Dask
            cluster that is named scores Parquet which its workers see.
        output: CSV or Parquet file for the predictions; below the stack's home when omitted.
        scheduled: answer the requests since the last scheduled prediction: they are logged and published, in no file.
    """
    opened = Project.open(project)
    now = instant(opened)
    if scheduled:
        rows = answer(opened, now)
        get_run_logger().info("%s rows answered, up to %s", rows, now)
        return f"{rows} rows"
    since = since or now
    until = until or since + timedelta(days=1)
    name = Path(input).stem if input else f"{since:%Y%m%dT%H%M%SZ}_{until:%Y%m%dT%H%M%SZ}"
    path = Path(output) if output else opened.settings.home / "predictions" / project / f"{name}.parquet"
    rows = score(opened, input or (since, until), path.absolute(), now)
    get_run_logger().info("%s rows scored into %s", rows, path)
    return str(path)
