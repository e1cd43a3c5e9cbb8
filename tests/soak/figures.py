"""The figures of a soak as a table, each beside its bar."""

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from bench.load import quantile
from bench.table import Row
from stack.core.wait import wait_until
from tests.soak.flow_runs import FlowRuns
from tests.soak.kills import LIMIT_SECONDS, Kill, Killer
from tests.soak.traffic import Traffic

NONE = {
    "lost": "acknowledged predictions that are not logged",
    "logged without a request": "logged predictions without a request",
    "answered otherwise than logged": "predictions logged with another version than answered",
    "labels lost": "acknowledged labels that are not logged",
    "doubled rows": "rows doubled in the lake",
    "lost or foreign rows": "rows of the lake that differ from the source's, and lost ones",
    "gaps or overlaps of batches": "batches with a gap or overlap before them",
    "batches not committed once": "batches without exactly one commit",
    "answered by an unpromoted version": "predictions of a version before its promotion",
    "decisions not carried out": "decisions of the audit that are not carried out",
    "versions promoted twice": "versions promoted twice",
}
"""Figure of the account -> what it counts; the bar is 0."""


@dataclass
class Soak:
    """What ran, and what it was like."""

    traffic: Traffic
    killer: Killer
    flows: FlowRuns
    memory_before: dict[str, float]
    """Service -> MiB."""
    memory_after: dict[str, float] = field(default_factory=dict)
    loads: list[float] = field(default_factory=list)
    """Of the machine, each minute."""
    seconds: float = 0.0
    last_runs: dict[str, str] = field(default_factory=dict)
    alive: list[str] = field(default_factory=list)
    """Runs that have not ended when all is over."""

    def settle(self) -> None:
        """Let the runs end that are alive, then run an ingest and an undisturbed training."""
        wait_until(lambda: not self.flows.alive(), 600, pause=2)
        self.last_runs = {flow: self.flows.run(flow) for flow in ("ingest", "train")}
        self.alive = self.flows.alive()


def rows(soak: Soak, account: dict[str, Any], problem: str) -> list[Row]:
    """Return the table of a soak.

    Args:
        soak: what ran.
        account: the figures of :mod:`tests.soak.account`.
        problem: of the services at the end; empty when all are healthy.
    """
    journal = soak.traffic.journal
    answers = journal.statuses["predict 200"]
    late = sorted(journal.latencies)
    champion, previous = (
        {name: account[name] for name in account if word in name} for word in ("champion", "previous")
    )
    load = sum(soak.loads) / max(1, len(soak.loads))
    failures = {status: count for status, count in sorted(journal.statuses.items()) if not status.endswith(" 200")}
    return [
        Row(
            "length",
            f"{soak.seconds / 60:.1f} min",
            f"load of the machine {load:.1f} (most {max(soak.loads, default=0):.1f})",
        ),
        Row("predictions", f"{account['acknowledged']:,} acknowledged", f"{account['logged']:,} logged"),
        Row("requests answered", f"{answers / soak.seconds:.1f} a second", f"p99 {quantile(late, 0.99):.0f} ms"),
        Row("requests not answered with 200 (0: no answer)", str(failures or "none")),
        Row("labels", f"{account['labels']:,} acknowledged"),
        Row("batches", f"{account['batches']}", f"{account['rows']:,} rows"),
        Row("decisions", f"{account['decisions']}", f"{account['promotions']} promotions"),
        Row("runs", str(dict(sorted(soak.flows.states.items())))),
        *(_bar(what, account[name]) for name, what in NONE.items()),
        _bar("feedback to acknowledged predictions that was not taken", len(journal.unknown)),
        _bar("runs that did not end", len(soak.alive)),
        _agreement("champion", champion),
        _agreement("previous champion", previous),
        Row(
            "undisturbed ingest and training",
            str(soak.last_runs),
            bar="COMPLETED",
            met=set(soak.last_runs.values()) == {"COMPLETED"},
        ),
        Row("services at the end", problem or "healthy", bar="healthy", met=not problem),
        *_recoveries(soak.killer.kills),
        *_memory(soak),
    ]


def _bar(what: str, count: int) -> Row:
    return Row(what, str(count), bar="0", met=not count)


def _agreement(alias: str, versions: dict[str, str | None]) -> Row:
    found = ", ".join(f"version {version}" for version in dict.fromkeys(versions.values()))
    return Row(f"{alias}, by all who know it", found, bar="one", met=len(set(versions.values())) == 1)


def _recoveries(kills: list[Kill]) -> list[Row]:
    """Return a row for each victim, and one for all kills."""
    by_victim: dict[str, list[Kill]] = defaultdict(list)
    for kill in kills:
        by_victim[kill.victim].append(kill)
    table = [
        Row(
            f"{victim} killed {len(some)} times: healthy after",
            _spread([kill.seconds for kill in some]),
            f"all services {_spread([kill.all_seconds for kill in some])}",
        )
        for victim, some in sorted(by_victim.items())
    ]
    late = sum(kill.all_seconds > LIMIT_SECONDS for kill in kills)
    found = f"{late} of {len(kills)} later, {_spread([kill.all_seconds for kill in kills])}"
    bar = f"<= {LIMIT_SECONDS:.0f} s"
    return [*table, Row("all healthy after a kill", found, bar=bar, met=bool(kills) and not late)]


def _spread(seconds: list[float]) -> str:
    """Return median, 90 % quantile and maximum."""
    ordered = sorted(seconds)
    middle, most = quantile(ordered, 0.5) / 1000, quantile(ordered, 0.9) / 1000
    return f"median {middle:.1f} s, p90 {most:.1f} s, max {max(ordered, default=0):.1f} s"


def _memory(soak: Soak) -> list[Row]:
    before, after = soak.memory_before, soak.memory_after
    services = sorted(before.keys() | after.keys())
    table = [
        Row(f"memory of {name}", f"{after.get(name, 0):.0f} MiB", f"{before.get(name, 0):.0f} MiB at the start")
        for name in services
    ]
    total = f"{sum(after.values()):.0f} MiB", f"{sum(before.values()):.0f} MiB at the start"
    return [*table, Row("memory of all, with the runs of the moment", *total)]
