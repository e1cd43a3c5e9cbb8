"""Decisions about which version is live: the only module that moves aliases.

Every decision is in the audit, with its numbers. A decision that moves an alias is written as intended, carried out,
and marked as done. What a killed process left intended, the next process carries out: a decision is in the audit
exactly once, and what the audit calls done has happened.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Literal

from filelock import FileLock
from sqlalchemy import func, insert, select, update

from stack.core.database import decisions, engine, in_utc
from stack.core.errors import StackError
from stack.core.settings import Settings
from stack.project import Project
from stack.registry.registry import Registry, Version

Kind = Literal["promote", "refuse", "rollback", "canary", "withdraw"]
State = Literal["intended", "done", "void"]


@dataclass(frozen=True)
class Judgement:
    """The reason and the numbers for a decision about a version."""

    version: str
    """The version that is evaluated, tried out or withdrawn, or restored."""
    champion: str | None
    """The version that is live, which it was compared with."""
    reason: str
    numbers: Mapping[str, Any]


@dataclass(frozen=True)
class Entry(Judgement):
    """A decision about a project, as the audit has it."""

    number: int
    """1, 2, ... in the order they were taken."""
    kind: Kind
    at: datetime
    """On the project's clock."""
    decided_at: datetime
    """On the wall clock."""
    state: State
    """Void: someone moved the alias by hand before it was carried out."""


@dataclass(frozen=True)
class Live:
    """A period in which a version was champion, on the project's clock."""

    version: str
    since: datetime | None
    """None when it became champion by hand, without the audit."""
    until: datetime | None
    """None while it is live."""
    reason: str


@dataclass(frozen=True)
class DecisionTime:
    """When a decision is taken: on the project's clock, and on the wall clock."""

    at: datetime
    wall: datetime


def make_challenger(project: Project, version: Version) -> None:
    """Make a version challenger; the audit does not have it, as nothing is decided yet."""
    project.registry.set_challenger(version)


def promote(project: Project, judgement: Judgement, when: DecisionTime) -> Entry:
    """Make a version champion that passed the gate; the same promotion again changes nothing.

    Raises:
        StackError: another version has become champion since the gate compared them.
    """
    with _deciding(project):
        champion, last = project.registry.champion(), _last(project)
        if champion and last and last.version == champion.version == judgement.version:
            return last
        _require_champion(project, judgement)
        return _decide(project, "promote", judgement, when)


def try_out(project: Project, judgement: Judgement, when: DecisionTime) -> Entry:
    """Make a version canary that passed the gate, and withdraw the present canary.

    Raises:
        StackError: another version has become champion since the gate compared them.
    """
    with _deciding(project):
        version, canary, last = judgement.version, project.registry.canary(), _last(project)
        if canary and last and (last.kind, last.version, canary.version) == ("canary", version, version):
            return last
        _require_champion(project, judgement)
        if canary and canary.version != version:
            reason = f"version {version} is the canary instead"
            _decide(project, "withdraw", Judgement(canary.version, judgement.champion, reason, {}), when)
        return _decide(project, "canary", judgement, when)


def withdraw(project: Project, judgement: Judgement, when: DecisionTime) -> Entry | None:
    """Stop the canary from answering; return None when the version is canary no longer."""
    with _deciding(project):
        canary = project.registry.canary()
        if canary is None or canary.version != judgement.version:
            return None
        return _decide(project, "withdraw", judgement, when)


def refuse(project: Project, judgement: Judgement, when: DecisionTime) -> Entry:
    """Record that a version was refused. The same two versions compared again are the same decision."""
    with _deciding(project):
        last = _last(project)
        if last and (last.kind, last.version, last.champion) == ("refuse", judgement.version, judgement.champion):
            return last
        return record(project, "refuse", judgement, when, "done")


def rollback(project: Project, when: DecisionTime, reason: str) -> Entry:
    """Make the previous version champion again.

    It removes the alias ``previous``, as no rollback returns to the version that failed: a second rollback is an error
    until a promotion has set a new previous version.

    Raises:
        StackError: there is no previous version.
    """
    with _deciding(project):
        champion, previous = project.registry.require_champion(), project.registry.previous()
        if previous is None or previous.version == champion.version:
            raise StackError(
                f"model {project.name}",
                found=f"no version before champion version {champion.version}{_since(_last(project))}",
                expected="a version with the alias previous, as a promotion leaves it",
                todo=f"make train PROJECT={project.name}",
            )
        return _decide(project, "rollback", Judgement(previous.version, champion.version, reason, {}), when)


def complete_pending(project: Project) -> list[Entry]:
    """Carry out the decisions that a killed process had intended, and return them."""
    with _deciding(project) as completed:
        return completed


def entries(project: Project, last: int | None = None) -> list[Entry]:
    """Return the decisions in the order they were taken; with `last`, only the newest ones."""
    return [entry for _, entry in recent(project.settings, project.name, last)][::-1]


def recent(settings: Settings, name: str | None = None, last: int | None = None) -> list[tuple[str, Entry]]:
    """Return the decisions about a project, or about all without a name, each with its project, the newest first."""
    query = select(decisions).order_by(decisions.c.decided_at.desc(), decisions.c.number.desc()).limit(last)
    if name is not None:
        query = select(decisions).where(decisions.c.project == name).order_by(decisions.c.number.desc()).limit(last)
    with engine(settings.state_database).connect() as connection:
        rows = [dict(row) for row in connection.execute(query).mappings()]
    instants = ("at", "decided_at")
    return [(row.pop("project"), Entry(**(row | {key: in_utc(row[key]) for key in instants}))) for row in rows]


def progress(settings: Settings) -> dict[str, tuple[int, int]]:
    """Return for each project the number of its last decision, and of those that are not carried out yet."""
    intended = func.count().filter(decisions.c.state == "intended")
    query = select(decisions.c.project, func.max(decisions.c.number), intended).group_by(decisions.c.project)
    with engine(settings.state_database).connect() as connection:
        return {name: (last, pending) for name, last, pending in connection.execute(query)}


def live(project: Project) -> list[Live]:
    """Return which version was live when, in order.

    A version that was live before a decision, although the audit has no promotion of it, became champion by hand: its
    start is not known, and the version before it counts as live up to that decision.
    """
    spans: list[Live] = []
    for entry in entries(project):
        if entry.kind not in ("promote", "rollback") or entry.state != "done":
            continue
        if entry.champion and (not spans or spans[-1].version != entry.champion):
            _end(spans, entry.at)
            spans.append(Live(entry.champion, None, None, "made champion by hand"))
        _end(spans, entry.at)
        spans.append(Live(entry.version, entry.at, None, entry.reason))
    return spans


def _end(spans: list[Live], at: datetime) -> None:
    if spans:
        spans[-1] = replace(spans[-1], until=at)


def _require_champion(project: Project, judgement: Judgement) -> None:
    """Check that the champion is still the version that the judgement compares with."""
    champion = project.registry.champion()
    version = champion.version if champion else None
    if version != judgement.champion:
        raise StackError(
            f"model {project.name}, version {judgement.version}",
            found=f"champion version {version}, since a moment ago",
            expected=f"champion version {judgement.champion}, which it was compared with",
            todo=f"make promote PROJECT={project.name}",
        )


MOVES: dict[str, Callable[[Registry, str], None]] = {
    "promote": Registry.set_champion,
    "rollback": Registry.restore_champion,
    "canary": Registry.set_canary,
    "withdraw": Registry.clear_canary,
}


def _decide(project: Project, kind: Kind, judgement: Judgement, when: DecisionTime) -> Entry:
    """Record a decision as intended, then carry it out."""
    return carry_out(project, record(project, kind, judgement, when, "intended"))


def carry_out(project: Project, entry: Entry) -> Entry:
    """Move the aliases and mark the decision as done; as void when a version that it does not know is champion."""
    champion = project.registry.champion()
    state: State = "done" if (champion and champion.version) in (entry.champion, entry.version) else "void"
    if state == "done":
        MOVES[entry.kind](project.registry, entry.version)
    row = (decisions.c.project == project.name, decisions.c.number == entry.number)
    with engine(project.settings.state_database).begin() as connection:
        connection.execute(update(decisions).where(*row).values(state=state))
    return replace(entry, state=state)


def record(project: Project, kind: Kind, judgement: Judgement, when: DecisionTime, state: State) -> Entry:
    """Add a decision after the last; its number is a primary key, so that two writers cannot take the same."""
    last = _last(project)
    entry = Entry(
        judgement.version,
        judgement.champion,
        judgement.reason,
        judgement.numbers,
        number=last.number + 1 if last else 1,
        kind=kind,
        at=when.at.astimezone(UTC),
        decided_at=when.wall.astimezone(UTC),
        state=state,
    )
    with engine(project.settings.state_database).begin() as connection:
        connection.execute(insert(decisions).values(project=project.name, **vars(entry)))
    return entry


def _last(project: Project) -> Entry | None:
    return next(iter(entries(project, last=1)), None)


def _since(last: Entry | None) -> str:
    """Return when and from which version a rollback came to the present champion; empty after a promotion."""
    if last is None or last.kind != "rollback":
        return ""
    return f"; it came by the rollback from version {last.champion} at {last.decided_at:%Y-%m-%d %H:%M} UTC"


@contextmanager
def _deciding(project: Project) -> Iterator[list[Entry]]:
    """Let a single process decide about a project at a time, after it has carried out the intended decisions.

    Removes the alias ``challenger`` from a version that is champion already.

    Yields:
        The decisions that were completed.
    """
    folder = project.settings.home / "state"
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / f"{project.name}.decisions.lock"):
        completed = [carry_out(project, entry) for entry in entries(project) if entry.state == "intended"]
        champion, challenger = project.registry.champion(), project.registry.challenger()
        if champion and challenger and champion.version == challenger.version:
            project.registry.set_champion(champion.version)
        yield completed
