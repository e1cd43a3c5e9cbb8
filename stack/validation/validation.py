"""Check a batch with Great Expectations: take wrong rows out, or refuse the batch, and write its Data Docs page.

A project's ``checks.py`` gives ``COLUMNS`` (the columns of each raw table), ``HISTORY`` (how much accepted data it
compares with), ``prepare(tables, history, since, until)``, the frames to look at, and ``suites()``, the expectations
of each frame. An expectation's ``severity`` is critical or warning. Its ``meta["scope"]`` is ``batch``, or ``row``
where rows that fail are taken out as long as its ``mostly`` holds. Keys, columns and the window are checked here.
"""

import shutil
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from stack.core import clock
from stack.core.settings import Settings
from stack.lake.windows import batch_id
from stack.project import Project
from stack.project.contract import Tables
from stack.validation import _compat, data_docs, plan, quarantine

LONG = ("unexpected_list", "unexpected_index_list", "unexpected_index_query", "partial_unexpected_index_list")
"""Lists in a result that are as long as the batch, of no use in a page."""


@dataclass(frozen=True)
class BatchResult:
    """The outcome of a batch's validation."""

    tables: dict[str, pd.DataFrame]
    """The clean rows; empty when the batch is refused."""
    quarantined_rows: int
    """Rows taken out of an accepted batch; all its rows when it is refused."""
    failures: list[str]
    """Why the batch is refused; each names the table and column, what was found and what was expected."""
    warnings: list[str]
    page: Path
    """The validation's Data Docs page."""
    rows: int = 0
    """Rows that came."""
    changed: int = 0
    """Those of them that replace a known row of a snapshot table."""

    @property
    def accepted(self) -> bool:
        """Return whether nothing is against the batch."""
        return not self.failures


@dataclass
class Findings:
    """The results of a batch's expectations."""

    failures: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    wrong: dict[str, set[int]] = field(default_factory=dict)
    """Table -> positions of its rows to take out."""

    def add(self, name: str, frame: pd.DataFrame, result: Any) -> None:
        """Sort one result into failures, warnings and wrong rows; drop its lists that are as long as the batch."""
        config, details = result.expectation_config, result.result
        rows = details.get("unexpected_index_list") or []
        where = f"{name}.{config.kwargs['column']}" if "column" in config.kwargs else name
        text = f"{where}: expected {config.description or config.type}; found {_observed(frame, result)}"
        if not result.success:
            (self.warnings if config.severity == "warning" else self.failures).append(text)
        elif rows and (config.meta or {}).get("scope") == "row":
            self.wrong.setdefault(name, set()).update(rows)
            self.warnings.append(f"{text}; taken out")
        for key in LONG:
            details.pop(key, None)


def history(project: Project, until: datetime) -> Tables:
    """Read the rows that a batch is compared with: those of ``checks.HISTORY`` before it; snapshot tables whole.

    A table without any has no columns yet, so it is left out.
    """
    tables = project.lake.recent(until - project.checks.HISTORY, until)
    return {name: frame for name, frame in tables.items() if len(frame)}


def validate(
    project: Project, tables: Tables, history: Tables, since: datetime, until: datetime, now: datetime | None = None
) -> BatchResult:
    """Check the rows that became known in (since, until]; validating a batch again replaces its page and quarantine.

    Args:
        history: as :func:`history` reads it; may be empty.
        now: instant on the wall clock; where it is given, pages and quarantine older than ``keep_days`` are deleted.
    """
    rows = {name: tables.get(name, pd.DataFrame()).reset_index(drop=True) for name in project.spec.tables}
    planned = plan.make(project, rows, history, since, until)
    results, findings = _examine(planned)
    wrong = {name: sorted(findings.wrong.get(name, ())) for name in rows}
    taken_out = rows if findings.failures else {name: table.loc[wrong[name]] for name, table in rows.items()}
    batch, settings = batch_id(since, until), project.settings
    record = {
        "project": project.name,
        "batch": batch,
        "since": since.astimezone(UTC).isoformat(),
        "until": until.astimezone(UTC).isoformat(),
        "accepted": not findings.failures,
        "failures": findings.failures,
        "warnings": findings.warnings,
        "rows": {name: len(table) for name, table in rows.items()},
        "quarantined": {name: len(table) for name, table in taken_out.items()},
        "page": f"{project.name}/validations/{batch}.html",
    }
    if planned.whole:
        data_docs.publish_suite(settings.data_docs, project.name, planned.suites)
    page = data_docs.publish(settings.data_docs, results, record)
    quarantine.keep(settings.quarantine / project.name / batch, taken_out, record)
    if now:
        _forget(project, now)
    clean = {name: table.drop(index=wrong[name]).reset_index(drop=True) for name, table in rows.items()}
    return BatchResult(
        tables={} if findings.failures else clean,
        quarantined_rows=sum(len(table) for table in taken_out.values()),
        failures=findings.failures,
        warnings=findings.warnings,
        page=page,
        rows=sum(map(len, rows.values())),
        changed=sum(table.attrs.get("changed", 0) for table in rows.values()),
    )


def clean(project: Project, tables: Tables, since: datetime, until: datetime) -> dict[str, pd.DataFrame]:
    """Return the rows that :func:`validate` would accept, without a trace of it; none where it would refuse them."""
    rows = {name: tables[name].reset_index(drop=True) for name in project.spec.tables}
    _, findings = _examine(plan.make(project, rows, history(project, since), since, until))
    if findings.failures:
        return {}
    return {name: table.drop(index=[*findings.wrong.get(name, ())]) for name, table in rows.items()}


def _examine(planned: plan.Plan) -> tuple[dict[str, list[Any]], Findings]:
    results, findings = _compat.validate(planned.frames, planned.suites), Findings()
    for name, frame_results in results.items():
        for result in frame_results:
            findings.add(name, planned.frames[name], result)
    return results, findings


def _forget(project: Project, now: datetime) -> None:
    """Delete the pages and quarantined batches that were written longer ago than the settings keep them."""
    site = project.settings.data_docs / project.name
    verdicts = list((project.settings.quarantine / project.name).glob("*/verdict.json"))
    records = list((site / "validations").glob("*.json"))
    for verdict in _old(project.settings, verdicts, now):
        shutil.rmtree(verdict.parent)
    pushed = list((project.settings.quarantine / project.name).glob(f"{quarantine.PUSHED}*"))
    for file in _old(project.settings, pushed, now):
        file.unlink()
    old = _old(project.settings, records, now)
    for record in old:
        record.with_suffix(".html").unlink(missing_ok=True)
        record.unlink()
    if old:
        data_docs.index(site, project.name)


def _old(settings: Settings, paths: list[Path], now: datetime) -> list[Path]:
    """Return the files that were written longer ago than the settings say."""
    written = {path: datetime.fromtimestamp(path.stat().st_mtime, UTC) for path in paths}
    before = clock.oldest_kept(settings, now, max(written.values(), default=None))
    return [path for path, at in written.items() if before and at < before]


def _observed(frame: pd.DataFrame, result: Any) -> str:
    """Describe what was observed: the missing columns, or how many values are wrong and the first of them."""
    details = result.result
    if "unexpected_count" not in details:
        missing = details.get("details", {}).get("mismatched", {}).get("missing")
        return f"no {', '.join(missing)}" if missing else str(details.get("observed_value", result.exception_info))
    rows, values = details.get("unexpected_index_list") or [], details.get("partial_unexpected_list") or []
    labelled = not isinstance(frame.index, pd.RangeIndex)
    pairs = zip(rows, values, strict=False)
    texts = list(dict.fromkeys(f"{row}: {_short(value)}" if labelled else _short(value) for row, value in pairs))
    more = ", ..." if details["unexpected_count"] > 3 else ""
    return f"{details['unexpected_count']} of {details['element_count']} wrong ({', '.join(texts[:3])}{more})"


def _short(value: Any) -> str:
    if isinstance(value, dict):
        return "-".join(str(part) for part in value.values())
    return f"{value:.4g}" if isinstance(value, float) else str(value)
