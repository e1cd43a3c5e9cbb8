"""What gave an alarm about a project: reports with a notice or a retraining, and refused batches."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

from services.portal import report_index
from stack.core.settings import Settings

BATCHES = 50


@dataclass(frozen=True)
class Alarm:
    """An alarm about the data or the champion of a project."""

    at: datetime
    """On the project's clock."""
    made: datetime
    """On the wall clock, where it is known."""
    kind: str
    """``notice`` or ``retrain``, of a report; ``refused``, of a batch."""
    text: str
    href: str
    """Where it is explained."""


def alarms(settings: Settings, name: str, reports: Sequence[Mapping[str, Any]]) -> list[Alarm]:
    """Return the alarms about a project in the order of time.

    Args:
        settings: of the stack.
        name: of the project.
        reports: its summaries.
    """
    found = [_of_report(name, report) for report in reports if report["verdict"]["action"] != "none"]
    batches = islice(report_index.refused_batches(settings, name), BATCHES)
    found += [_of_batch(batch) for batch in batches if batch.get("failures")]
    return sorted(found, key=lambda alarm: alarm.at)


def _of_report(name: str, report: Mapping[str, Any]) -> Alarm:
    at, verdict = datetime.fromisoformat(report["at"]), report["verdict"]
    made = datetime.fromisoformat(report.get("made", report["at"]))
    return Alarm(at, made, verdict["action"], verdict["summary"], f"/reports/{name}/{report['path']}")


def _of_batch(batch: Mapping[str, Any]) -> Alarm:
    until = datetime.fromisoformat(batch["until"])
    return Alarm(until, until, "refused", "; ".join(batch["failures"]), batch["href"] or "")
