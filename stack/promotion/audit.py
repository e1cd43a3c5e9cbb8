"""The audit: every decision about which version is live, with its numbers, and what was live when.

A decision that moves an alias is written first, as intended, then carried out, then marked as done. Whoever comes next
carries out what a killed process left intended: a decision is in the audit exactly once, and what the audit calls done
has happened.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Literal

from filelock import FileLock
from sqlalchemy import insert, select, update

from stack.core.database import decisions, engine, in_utc
from stack.core.errors import StackError
from stack.project import Project
from stack.registry.registry import Registry

Kind = Literal["promote", "refuse", "rollback", "canary", "withdraw"]
State = Literal["intended", "done", "void"]


@dataclass(frozen=True)
class Entry:
    """One decision about a project."""

    number: int
    """1, 2, ... in the order they were taken."""
    kind: Kind
    version: str
    """The version that was judged, tried out or withdrawn, or gone back to."""
    champion: str | None
    """The version that was live before."""
    at: datetime
    """On the project's clock."""
    decided_at: datetime
    """On the wall clock."""
    reason: str
    numbers: Mapping[str, Any]
    state: State
    """Void: someone moved the alias by hand before it was carried out."""


@dataclass(frozen=True)
class Live:
    """A time in which one version answered, on the project's clock."""

    version: str
    since: datetime | None
    """None when it was made champion without the audit."""
    until: datetime | None
    """None while it is live."""
    reason: str


@dataclass(frozen=True)
class Instant:
    """When a decision is taken, on both clocks."""

    at: datetime
    wall: datetime


@dataclass(frozen=True)
class Judged:
    """What the gate says of a version."""

    version: str
    champion: str | None
    """The version it was compared with."""
    reason: str
    numbers: Mapping[str, Any]


def promote(project: Project, judged: Judged, when: Instant) -> Entry:
    """Make a version champion that passed the gate; the same promotion again changes nothing.

    Raises:
        StackError: another version has become champion since it was judged.
    """
    with _alone(project):
        _finish(project)
        before, known = project.registry.champion(), _last(project)
        live = before.version if before else None
        if known and known.version == live == judged.version:
            return known
        _require_champion(project, judged)
        return _carry_out(project, _write(project, _judged("promote", judged, when, "intended")))


def try_out(project: Project, judged: Judged, when: Instant) -> Entry:
    """Make a version canary that passed the gate; one that was it before is withdrawn.

    Raises:
        StackError: another version has become champion since it was judged.
    """
    with _alone(project):
        _finish(project)
        tried, known = project.registry.canary(), _last(project)
        if tried and known and (known.kind, known.version, tried.version) == ("canary", judged.version, judged.version):
            return known
        _require_champion(project, judged)
        if tried and tried.version != judged.version:
            followed = Judged(tried.version, judged.champion, f"version {judged.version} is tried out instead", {})
            _carry_out(project, _write(project, _judged("withdraw", followed, when, "intended")))
        return _carry_out(project, _write(project, _judged("canary", judged, when, "intended")))


def withdraw(project: Project, judged: Judged, when: Instant) -> Entry | None:
    """Let the canary answer no more; None when the version is canary no longer."""
    with _alone(project):
        _finish(project)
        tried = project.registry.canary()
        if tried is None or tried.version != judged.version:
            return None
        return _carry_out(project, _write(project, _judged("withdraw", judged, when, "intended")))


def refuse(project: Project, judged: Judged, when: Instant) -> Entry:
    """Note that a version was refused. The same two versions judged again are the same decision."""
    with _alone(project):
        _finish(project)
        known = _last(project)
        if known and (known.kind, known.version, known.champion) == ("refuse", judged.version, judged.champion):
            return known
        return _write(project, _judged("refuse", judged, when, "done"))


def rollback(project: Project, when: Instant, reason: str) -> Entry:
    """Make the previous version champion again.

    It takes away the alias ``previous``: the version that failed is no place to go back to, so a second rollback is an
    error until a promotion has made a new previous version.

    Raises:
        StackError: there is no previous version.
    """
    with _alone(project):
        _finish(project)
        champion, previous = project.registry.require_champion(), project.registry.previous()
        if previous is None or previous.version == champion.version:
            raise StackError(
                f"model {project.spec.name}",
                found=f"no version before champion version {champion.version}{_since(_last(project))}",
                expected="a version with the alias previous, as a promotion leaves it",
                todo=f"make train PROJECT={project.spec.name}",
            )
        intended = Entry(0, "rollback", previous.version, champion.version, *_at(when), reason, {}, "intended")
        return _carry_out(project, _write(project, intended))


def settle(project: Project) -> list[Entry]:
    """Carry out what a killed process had intended; returns it."""
    with _alone(project):
        return _finish(project)


def entries(project: Project, last: int | None = None) -> list[Entry]:
    """The decisions in the order they were taken; with `last`, the newest so many."""
    query = (
        select(decisions)
        .where(decisions.c.project == project.spec.name)
        .order_by(decisions.c.number.desc())
        .limit(last)
    )
    with engine(project.settings.state_database).connect() as connection:
        return [_entry(row._asdict()) for row in connection.execute(query)][::-1]


def live(project: Project) -> list[Live]:
    """Which version was live when, in order.

    A version that was live before a decision without having come by one was made champion by hand: its beginning is
    not known, and the version before it is said to have been live up to then.
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


def _require_champion(project: Project, judged: Judged) -> None:
    """See that the champion is the one that a version was judged against."""
    champion = project.registry.champion()
    live = champion.version if champion else None
    if live != judged.champion:
        raise StackError(
            f"model {project.spec.name}, version {judged.version}",
            found=f"champion version {live}, since a moment ago",
            expected=f"champion version {judged.champion}, which it was judged against",
            todo=f"make promote PROJECT={project.spec.name}",
        )


def _finish(project: Project) -> list[Entry]:
    """Carry out the intended decisions; take the alias ``challenger`` from a version that is champion already."""
    finished = [_carry_out(project, one) for one in entries(project) if one.state == "intended"]
    champion, challenger = project.registry.champion(), project.registry.challenger()
    if champion and challenger and champion.version == challenger.version:
        project.registry.set_champion(champion.version)
    return finished


MOVES: dict[str, Callable[[Registry, str], None]] = {
    "promote": Registry.set_champion,
    "rollback": Registry.restore_champion,
    "canary": Registry.set_canary,
    "withdraw": Registry.clear_canary,
}


def _carry_out(project: Project, entry: Entry) -> Entry:
    """Move the aliases and mark the decision as done; void when a version that it does not know is champion."""
    champion = project.registry.champion()
    state: State = "done"
    if (champion and champion.version) in (entry.champion, entry.version):
        MOVES[entry.kind](project.registry, entry.version)
    else:
        state = "void"
    mine = (decisions.c.project == project.spec.name, decisions.c.number == entry.number)
    with engine(project.settings.state_database).begin() as connection:
        connection.execute(update(decisions).where(*mine).values(state=state))
    return replace(entry, state=state)


def _write(project: Project, entry: Entry) -> Entry:
    """Add a decision after the last one; its number is a primary key, so that two writers cannot take the same."""
    known = _last(project)
    numbered = replace(entry, number=known.number + 1 if known else 1)
    with engine(project.settings.state_database).begin() as connection:
        connection.execute(insert(decisions).values(project=project.spec.name, **vars(numbered)))
    return numbered


def _judged(kind: Kind, judged: Judged, when: Instant, state: State) -> Entry:
    return Entry(0, kind, judged.version, judged.champion, *_at(when), judged.reason, judged.numbers, state)


def _last(project: Project) -> Entry | None:
    return next(iter(entries(project, last=1)), None)


def _at(when: Instant) -> tuple[datetime, datetime]:
    return when.at.astimezone(UTC), when.wall.astimezone(UTC)


def _entry(row: dict[str, Any]) -> Entry:
    instants = {name: in_utc(row[name]) for name in ("at", "decided_at")}
    del row["project"]
    return Entry(**(row | instants))


def _since(known: Entry | None) -> str:
    """Say that the champion came by a rollback, when it did."""
    if known is None or known.kind != "rollback":
        return ""
    return f"; it came by the rollback from version {known.champion} at {known.decided_at:%Y-%m-%d %H:%M} UTC"


@contextmanager
def _alone(project: Project) -> Iterator[None]:
    """Let one process at a time decide about a project."""
    folder = project.settings.home / "state"
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / f"{project.spec.name}.decisions.lock"):
        yield
