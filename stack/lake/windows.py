"""Windows of batches: their names, and the partition that a batch belongs to."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

INSTANT = "%Y%m%dT%H%M%SZ"
DAY = timedelta(days=1)
MONTH = "month"


def batch_id(since: datetime, until: datetime) -> str:
    """Name the window of a batch."""
    return f"{since.astimezone(UTC):{INSTANT}}_{until.astimezone(UTC):{INSTANT}}"


def window(batch: str) -> tuple[datetime, datetime]:
    """Read the window from the name of a batch."""
    since, until = (datetime.strptime(part, INSTANT).replace(tzinfo=UTC) for part in batch.split("_"))
    return since, until


def partition(batch: str) -> str:
    """Name the folder of a batch, by its start: a month of daily batches, a day of shorter ones.

    So a file list has about 30 batches whatever the schedule, and there are 12 to 365 lists a year. No name is a
    number, as YAML has two readings of `09`.
    """
    since, until = window(batch)
    return f"{since:%Y-%m}/{MONTH if until - since >= DAY else f'{since:day-%d}'}"


def checked_out(lake: Path, project: str, table: str = "*") -> list[Path]:
    """Return the batch files of a project in the lake's working tree, in the order of time."""
    return sorted(Path(lake, project).glob(f"*/*/{table}/*.parquet"), key=lambda path: path.stem)


def may_overlap(name: str, since: datetime | None, until: datetime | None) -> bool:
    """Return whether a partition may have batches that overlap (since, until]; without a date in its name it may."""
    month, _, day = name.partition("/")
    if not day:
        return True
    start = datetime.strptime(f"{month} {'day-01' if day == MONTH else day}", "%Y-%m day-%d").replace(tzinfo=UTC)
    # A batch of a day partition ends before the next day does; a batch of a month partition may be of any length.
    return (until is None or start < until) and (since is None or day == MONTH or start + 2 * DAY > since)
