"""Start the ingest of a project whose pushed rows wait: one a minute at most, and none while another one runs."""

import logging
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from stack.core.errors import StackError
from stack.core.settings import Settings
from stack.ops.runs import Runs
from stack.sources import inbox
from stack.specification import specs
from stack.specification.sources import Push

PAUSE, LONGEST = timedelta(minutes=1), timedelta(hours=1)
"""Between two ingests; twice as long after each one that took nothing in, as of a batch that is refused, up to this."""
logger = logging.getLogger("stack.pushed")


@dataclass(frozen=True)
class Start:
    """The last ingest that was started for a project."""

    at: datetime
    pause: timedelta
    ingested: datetime | None
    """What the lake had before it."""


class PushedRows:
    """Follows the inboxes of all projects to which rows are pushed."""

    def __init__(self, settings: Settings) -> None:
        self.settings, self._runs = settings, Runs(settings)
        self._projects: list[str] = []
        self._stamps: dict[str, specs.Stamp] = {}
        self._starts: dict[str, Start] = {}

    def sync(self) -> None:
        """Start the ingests that are due."""
        if (stamps := specs.stamps()) != self._stamps:
            self._projects = [spec.name for spec in specs.load_valid(logger.debug) if isinstance(spec.source, Push)]
            self._stamps = stamps
        for project in self._projects:
            try:
                self._follow(project, datetime.now(UTC))
            except StackError as error:
                logger.warning("%s: its pushed rows wait: %s", project, error)

    def stop(self) -> None:
        """Do nothing: there is no thread to end."""

    def _follow(self, project: str, now: datetime) -> None:
        came, ingested = inbox.instants(self.settings, project)
        last = self._starts.get(project)
        if came is None or (ingested and (came <= ingested or timedelta() <= now - ingested < PAUSE)):
            return
        if last and timedelta() <= now - last.at < last.pause:
            return
        if self._runs.active("ingest", project):
            return
        in_vain = last is not None and last.ingested == ingested
        pause = min(2 * last.pause, LONGEST) if last and in_vain else PAUSE
        self._starts[project] = Start(now, pause, ingested)
        self._runs.start("ingest", project, {"project": project})
