"""Check a batch with Great Expectations: take wrong rows out, or refuse the batch, and write its Data Docs page.

A project's ``checks.py`` gives ``COLUMNS`` (the columns of each raw table), ``HISTORY`` (how much accepted data it
compares with), ``prepare(tables, history, since, until)``, the frames to look at, and ``suites()``, the expectations
of each frame. An expectation's ``severity`` is critical or warning. Its ``meta["scope"]`` is ``batch``, or ``row``
where rows that fail are taken out as long as its ``mostly`` holds. Keys, columns and the window are checked here.
"""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

import great_expectations as gx
import great_expectations.expectations as gxe
import pandas as pd
from great_expectations.data_context.types.base import ProgressBarsConfig

from stack.lake import lake
from stack.project import Project, contract
from stack.specification.specs import ProjectSpec, Table
from stack.validation import data_docs, retention

Tables = Mapping[str, pd.DataFrame]
Suites = dict[str, list[Any]]

# The validated project is a global of Great Expectations (great_expectations#12209).
_one_at_a_time = threading.Lock()
# Lists as long as the batch, of no use in a page.
LONG = ("unexpected_list", "unexpected_index_list", "unexpected_index_query", "partial_unexpected_index_list")


@dataclass(frozen=True)
class BatchResult:
    """What became of a batch."""

    accepted: bool
    tables: dict[str, pd.DataFrame]
    """The clean rows; empty when the batch is refused."""
    quarantined_rows: int
    """Rows taken out of an accepted batch; all its rows when it is refused."""
    failures: list[str]
    """Why the batch is refused; each names the table and column, what was found and what was expected."""
    warnings: list[str]
    page: Path
    """The validation's Data Docs page."""


@dataclass(frozen=True)
class Batch:
    """The rows that became known in a window, and the accepted ones before it."""

    tables: Tables
    history: Tables
    since: datetime
    until: datetime


@dataclass(frozen=True)
class Plan:
    """Frames, and what each is expected to be."""

    frames: dict[str, pd.DataFrame]
    suites: Suites
    whole: bool = True
    """False where the batch is so broken that only a part can be asked."""


@dataclass
class Findings:
    """What the expectations found."""

    failures: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    _wrong: dict[str, set[int]] = field(default_factory=dict)

    def wrong(self, table: str) -> list[int]:
        """Positions of a table's wrong rows."""
        return sorted(self._wrong.get(table, ()))

    def add(self, name: str, frame: pd.DataFrame, result: Any) -> None:
        """Sort one result into failures, warnings and wrong rows; its lists as long as the batch are dropped."""
        config, found = result.expectation_config, result.result
        wrong = found.get("unexpected_index_list") or []
        where = f"{name}.{config.kwargs['column']}" if "column" in config.kwargs else name
        text = f"{where}: expected {config.description or config.type}; found {_found(frame, result)}"
        if not result.success:
            (self.warnings if config.severity == "warning" else self.failures).append(text)
        elif wrong and (config.meta or {}).get("scope") == "row":
            self._wrong.setdefault(name, set()).update(wrong)
            self.warnings.append(f"{text}; taken out")
        for key in LONG:
            found.pop(key, None)


def _found(frame: pd.DataFrame, result: Any) -> str:
    """Say what an expectation found: the missing columns, or how many values are wrong and the first of them."""
    found = result.result
    if "unexpected_count" not in found:
        missing = found.get("details", {}).get("mismatched", {}).get("missing")
        return f"no {', '.join(missing)}" if missing else str(found.get("observed_value", result.exception_info))
    rows, values = found.get("unexpected_index_list") or [], found.get("partial_unexpected_list") or []
    named = not isinstance(frame.index, pd.RangeIndex)
    pairs = zip(rows, values, strict=False)
    texts = list(dict.fromkeys(f"{row}: {_short(value)}" if named else _short(value) for row, value in pairs))
    more = ", ..." if found["unexpected_count"] > 3 else ""
    return f"{found['unexpected_count']} of {found['element_count']} wrong ({', '.join(texts[:3])}{more})"


def _short(value: Any) -> str:
    if isinstance(value, dict):
        return "-".join(str(part) for part in value.values())
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def history(project: Project, until: datetime) -> Tables:
    """The raw rows that a batch's checks compare it with: those of ``checks.HISTORY`` before it; snapshot tables whole.

    A table without any has no columns yet, so it is left out.
    """
    tables = lake.recent(project.settings, project.spec, until - project.checks.HISTORY, until)
    return {name: frame for name, frame in tables.items() if len(frame)}


def validate(
    project: Project,
    tables: Tables,
    history: Tables,
    since: datetime,
    until: datetime,
    made: datetime | None = None,
) -> BatchResult:
    """Check the rows that became known in (since, until]; validating a batch again replaces its page and quarantine.

    Args:
        settings: where Data Docs and the quarantine are.
        spec: the project.
        tables: raw tables of the batch.
        history: accepted rows of the project's ``checks.HISTORY`` before `since`; may be empty.
        since: exclusive start of the window.
        until: inclusive end.
        made: instant on the wall clock; pages and quarantine older than ``keep_days`` are deleted when it is given.
    """
    batch = Batch(
        {name: tables.get(name, pd.DataFrame()).reset_index(drop=True) for name in project.spec.tables},
        history,
        since,
        until,
    )
    plan = _plan(project.spec, batch)
    with _one_at_a_time:
        results = {name: _run(name, plan.frames[name], expectations) for name, expectations in plan.suites.items()}
    findings = Findings()
    for name, frame_results in results.items():
        for result in frame_results:
            findings.add(name, plan.frames[name], result)

    record = _record(project.spec, batch, findings)
    if plan.whole:
        data_docs.publish_suite(project.settings.data_docs, project.spec.name, plan.suites)
    page = data_docs.publish(project.settings.data_docs, project.spec.name, record["batch"], results, record)
    _quarantine(project.settings.quarantine / project.spec.name / record["batch"], batch, findings, record)
    if made:
        retention.forget(project, made - timedelta(days=project.settings.keep_days))
    accepted = not findings.failures
    return BatchResult(
        accepted=accepted,
        tables={
            name: table.drop(index=findings.wrong(name)).reset_index(drop=True) for name, table in batch.tables.items()
        }
        if accepted
        else {},
        quarantined_rows=sum(record["quarantined"].values()),
        failures=findings.failures,
        warnings=findings.warnings,
        page=page,
    )


def _plan(spec: ProjectSpec, batch: Batch) -> Plan:
    """Choose frames and expectations; where columns are missing, nothing else can be asked."""
    checks = contract.checks(spec.name)
    needed = {
        name: {*checks.COLUMNS.get(name, ()), *table.key, table.available_at} for name, table in spec.tables.items()
    }
    columns: Suites = {name: [_has(sorted(needed[name]))] for name in spec.tables}
    if any(needed[name] - set(batch.tables[name].columns) for name in spec.tables):
        return Plan(dict(batch.tables), columns, whole=False)
    try:
        frames = checks.prepare(batch.tables, batch.history, batch.since, batch.until)
    except (TypeError, ValueError, AttributeError, ArithmeticError) as error:
        return _not_computable(error)
    suites: Suites = checks.suites()
    for name, table in spec.tables.items():
        frames[name] = frames[name].assign(**_deliveries(table, batch, name))
        suites[name] = columns[name] + _delivery(table) + suites.get(name, [])
    return Plan(frames, suites)


def _has(columns: list[str]) -> Any:
    return gxe.ExpectTableColumnsToMatchSet(
        column_set=columns, exact_match=False, description=f"the columns {', '.join(columns)}"
    )


def _deliveries(table: Table, batch: Batch, name: str) -> dict[str, Any]:
    """Name what is wrong with the delivery of each row; null where it is right."""
    rows, known_at = batch.tables[name], batch.tables[name][table.available_at]
    keys = pd.MultiIndex.from_frame(rows[table.key])
    names = pd.Series(["-".join(map(str, key)) for key in keys], index=rows.index, dtype=object)
    before = batch.history.get(name, rows)[table.key].iloc[: None if name in batch.history else 0]
    outside = ~((known_at > pd.Timestamp(batch.since)) & (known_at <= pd.Timestamp(batch.until)))
    return {
        "without_key": names.where(rows[table.key].isna().any(axis=1), None),
        "outside_window": known_at.astype(str).where(outside, None),
        "delivered_before": names.where(keys.isin(pd.MultiIndex.from_frame(before)), None),
    }


def _delivery(table: Table) -> list[Any]:
    """Expect rows that are of the window, once each, and new."""
    key = ", ".join(table.key)
    once = f"one row of each {key}"
    return [
        gxe.ExpectColumnValuesToBeNull(column="without_key", description=f"{key} in every row"),
        gxe.ExpectColumnValuesToBeNull(column="outside_window", description=f"{table.available_at} in the window"),
        _new_rows(table),
        gxe.ExpectColumnValuesToBeUnique(column=table.key[0], description=once)
        if len(table.key) == 1
        else gxe.ExpectCompoundColumnsToBeUnique(column_list=table.key, description=once),
    ]


def _new_rows(table: Table) -> Any:
    """Expect new keys: a known one is a mistake, or, of a source that gives the whole table, a corrected row."""
    if table.snapshot:
        description = "no other values for known rows; from now on the new ones count"
        return gxe.ExpectColumnValuesToBeNull(column="delivered_before", description=description, severity="warning")
    return gxe.ExpectColumnValuesToBeNull(column="delivered_before", description="rows not delivered before")


def _not_computable(error: Exception) -> Plan:
    """Refuse a batch that the checks cannot compute with, such as one whose numbers are text."""
    frame = pd.DataFrame({"computable": [f"{type(error).__name__}: {error}"]})
    says = "columns of the types that the project's source gives"
    suite = [gxe.ExpectColumnValuesToBeNull(column="computable", description=says)]
    return Plan({"checks": frame}, {"checks": suite}, whole=False)


@lru_cache(maxsize=1)
def _context() -> Any:
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    return context


def _run(name: str, frame: pd.DataFrame, expectations: list[Any]) -> list[Any]:
    batch = _context().data_sources.pandas_default.read_dataframe(frame)
    suite = gx.ExpectationSuite(name=name, expectations=expectations)
    return list(batch.validate(suite, result_format="COMPLETE").results)


def _record(spec: ProjectSpec, batch: Batch, findings: Findings) -> dict[str, Any]:
    """Say what ``verdict.json`` says."""
    name = lake.batch_id(batch.since, batch.until)
    rows = {table: len(frame) for table, frame in batch.tables.items()}
    return {
        "project": spec.name,
        "batch": name,
        "since": batch.since.astimezone(UTC).isoformat(),
        "until": batch.until.astimezone(UTC).isoformat(),
        "accepted": not findings.failures,
        "failures": findings.failures,
        "warnings": findings.warnings,
        "rows": rows,
        "quarantined": rows if findings.failures else {table: len(findings.wrong(table)) for table in rows},
        "page": f"{spec.name}/validations/{name}.html",
    }


def _quarantine(folder: Path, batch: Batch, findings: Findings, record: dict[str, Any]) -> None:
    """Keep what was taken out, or the whole refused batch, with its verdict; replaces an earlier one in one step."""
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)
    retention.supersede(folder)
    if not any(record["quarantined"].values()) and record["accepted"]:
        return
    partial.mkdir(parents=True)
    for name, table in batch.tables.items():
        if record["quarantined"][name]:
            out = table.loc[findings.wrong(name)] if record["accepted"] else table
            out.to_parquet(partial / f"{name}.parquet")
    (partial / "verdict.json").write_text(json.dumps(record, indent=1))
    partial.replace(folder)
