"""Fetch the rows of a window and check them, as the ingest flow does; write a Parquet file a table."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from stack.core.errors import StackError
from stack.core.settings import Settings
from stack.project import Project, contract
from stack.reproduce.stages.common import moment, path, say, specification, stage
from stack.validation import snapshots, validation


@stage(moment("since"), moment("until"), path("raw"))
def main(project: str, since: datetime, until: datetime, raw: Path) -> None:
    """Fetch and check the rows of a project that became known in a window; write them into the folder RAW."""
    fetch(project, since, until, raw)


def fetch(project: str, since: datetime, until: datetime, raw: Path) -> None:
    """Write the clean rows that became known in (since, until].

    Raises:
        StackError: the batch is refused.
    """
    spec = specification(project)
    with TemporaryDirectory() as home:
        settings = Settings(home=Path(home))
        tables = snapshots.batch(Project(settings, spec), contract.source(spec.name).fetch(since, until), since, until)
        verdict = validation.validate(Project(settings, spec), tables, {}, since, until)
    for warning in verdict.warnings:
        say("fetch", f"warning: {warning}")
    if not verdict.accepted:
        raise StackError(
            f"batch of {project}, {since.isoformat()} to {until.isoformat()}",
            found="; ".join(verdict.failures),
            expected="rows that meet the expectations of checks.py",
            todo="mend the source, or choose another window",
        )
    raw.mkdir(parents=True, exist_ok=True)
    for name, table in verdict.tables.items():
        table.to_parquet(raw / f"{name}.parquet", index=False)
        say("fetch", f"{len(table):,} rows of {name}")


if __name__ == "__main__":
    main()
