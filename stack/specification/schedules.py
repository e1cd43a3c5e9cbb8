"""The section ``schedules`` of a project's specification, and the zones of clocks."""

from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim, CronSimError
from pydantic import AfterValidator, field_validator

from stack.core.errors import nearest
from stack.specification.sections import Spec


@lru_cache
def _zones() -> frozenset[str]:
    """Return the names of all zones: to list them takes 8 ms, more than to check the rest of a specification."""
    return frozenset(available_timezones())


def _is_zone(name: str) -> str:
    if name not in _zones():
        raise ValueError(f"the name of a time zone, like Europe/Berlin{nearest(name, _zones())}")
    return name


Zone = Annotated[str, AfterValidator(_is_zone)]
"""The name of a time zone."""


class Schedules(Spec):
    """When flows start by themselves, on the wall clock: cron expressions of five fields."""

    timezone: Zone = "UTC"
    """Zone of the expressions, like Europe/Berlin: they keep to its local time through the change of the clocks."""
    ingest: str | None = None
    """When new rows are fetched, checked and appended, like "0 4 * * *"."""
    monitor: str | None = None
    """When drift and performance are reported and the drift policy is asked."""
    train: str | None = None
    """When a challenger is trained whatever the drift policy says."""
    predict: str | None = None
    """When the champion answers for the rows that the source's `requests` has had since the last time, or for the next
    steps of a forecast; the answers are logged, and published (`publish`)."""

    @field_validator("ingest", "monitor", "train", "predict")
    @classmethod
    def _is_cron(cls, expression: str | None) -> str | None:
        if expression is not None:
            try:
                CronSim(expression, datetime(2024, 1, 1))  # noqa: DTZ001  # any instant will do
            except CronSimError as error:
                raise ValueError(f'a cron expression of five fields, like "0 4 * * *" ({error})') from None
        return expression

    @property
    def crons(self) -> dict[str, str]:
        """Flow -> its expression, if any."""
        return {flow: cron for flow in ("ingest", "monitor", "train", "predict") if (cron := getattr(self, flow))}

    def last(self, flow: str, at: datetime) -> datetime:
        """Return the last instant (UTC) before `at` at which a flow was due."""
        return next(CronSim(self.crons[flow], at.astimezone(ZoneInfo(self.timezone)), reverse=True)).astimezone(UTC)
