"""Compare what was acknowledged with what is stored: ``python account.py JOURNAL``, in the checkout of the stack.

The journal is a :class:`~tests.soak.traffic.Journal` as JSON; the figures are printed as JSON.
"""

import json
import sys
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import select

from stack.core.database import engine, in_utc, predictions
from stack.core.wait import wait_until
from stack.lake import history, repository
from stack.project import Project
from stack.promotion import decisions
from stack.registry import artifacts
from stack.serving.served import ServedModel

NAME = "soak"


def of_predictions(project: Project, journal: dict[str, Any]) -> dict[str, Any]:
    """Compare acknowledged predictions and labels with the log."""
    query = select(predictions.c.id, predictions.c.model_version, predictions.c.answered_at, predictions.c.label)
    here = predictions.c.project == NAME, predictions.c.answered_at >= datetime.fromisoformat(journal["began"])
    with engine(project.settings.state_database).connect() as connection:
        rows = {row.id: row for row in connection.execute(query.where(*here))}
    promoted = {
        entry.version: entry.decided_at for entry in reversed(decisions.entries(project)) if entry.kind == "promote"
    }
    acknowledged, unexplained = journal["versions"], rows.keys() - journal["versions"].keys() - set(journal["own_ids"])
    once = acknowledged.keys() - set(journal["retried"])
    return {
        "acknowledged": len(acknowledged),
        "logged": len(rows),
        "lost": len(acknowledged.keys() - rows.keys()),
        # A request that was killed after its commit is logged, and its caller has no answer.
        "logged without a request": max(0, len(unexplained) - journal["unanswered"]),
        "answered otherwise than logged": sum(
            acknowledged[key] != rows[key].model_version for key in once & rows.keys()
        ),
        "labels": len(journal["labels"]),
        "labels lost": sum(key not in rows or rows[key].label != label for key, label in journal["labels"].items()),
        "answered by an unpromoted version": sum(
            row.model_version not in promoted or in_utc(row.answered_at) < promoted[row.model_version]
            for row in rows.values()
        ),
    }


def of_batches(project: Project) -> dict[str, Any]:
    """Compare the lake with the source, and its commits with its batches."""
    batches, rows = project.lake.batches(), project.lake.read()["crossings"]
    with repository.opened(project.settings) as repo:
        commits = Counter(batch for batch, _ in history.revisions(repo.scm, NAME))
    source = project.source.fetch(project.spec.clock.start, batches["until"].max())["crossings"]
    key = project.spec.tables["crossings"].key
    both = source.merge(rows.drop_duplicates(key), how="outer", on=list(source.columns), indicator=True)
    gaps = batches["since"].iloc[1:].to_numpy() != batches["until"].iloc[:-1].to_numpy()
    return {
        "batches": len(batches),
        "rows": len(rows),
        "doubled rows": int(rows.duplicated(key).sum()),
        "lost or foreign rows": int((both["_merge"] != "both").sum()),
        "gaps or overlaps of batches": int(gaps.sum()),
        "batches not committed once": sum(count != 1 for count in commits.values()) + abs(len(commits) - len(batches)),
    }


def of_models(project: Project) -> dict[str, Any]:
    """Compare the aliases with the audit, and the registry with what answers."""
    entries, registry = decisions.entries(project), project.registry
    aliases = {name: getattr(registry.aliased(name), "version", None) for name in ("champion", "previous")}
    last = next(entry for entry in reversed(entries) if entry.kind == "promote")
    served = wait_until(lambda: _answers(project) == aliases["champion"], 30) and aliases["champion"]
    with artifacts.folder(project.settings, registry.require_champion(), "served") as folder:
        ServedModel(folder)
    return {
        "decisions": len(entries),
        "promotions": sum(entry.kind == "promote" for entry in entries),
        "decisions not carried out": sum(entry.state != "done" for entry in entries),
        "versions promoted twice": sum(
            count > 1 for count in Counter(entry.version for entry in entries if entry.kind == "promote").values()
        ),
        "champion of the audit": last.version,
        "champion of the registry": aliases["champion"],
        "champion that answers": served or _answers(project),
        "previous of the audit": last.champion,
        "previous of the registry": aliases["previous"],
    }


def _answers(project: Project) -> str | None:
    """Return the version that answers."""
    ready = httpx.get(f"{project.settings.prediction_url}/readyz", timeout=30, trust_env=False).json()
    return ready["projects"][NAME]["champion"]  # type: ignore[no-any-return]


if __name__ == "__main__":
    opened = Project.open(NAME)
    figures = of_predictions(opened, json.loads(Path(sys.argv[1]).read_text())) | of_batches(opened) | of_models(opened)
    print(json.dumps(figures, default=str))
