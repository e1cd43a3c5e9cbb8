"""Warn of columns of a sound project that give its outcome away."""

from datetime import datetime

import pandas as pd

from stack.project import contract
from stack.promotion import leaks
from stack.promotion.leaks import Leak
from stack.specification import frames, tasks
from stack.specification.specs import ProjectSpec


def find(spec: ProjectSpec, now: datetime) -> list[Leak]:
    """Return what gives the outcome away of the features that come with a request, in rows of the first window.

    Args:
        now: end of the first window of a project on the wall clock.
    """
    until = spec.clock.first_now or now
    tables = dict(contract.source(spec.name).fetch(spec.clock.start, until))
    for name, table in spec.tables.items():
        if table.snapshot:
            tables[name] = frames.with_columns(tables[name], {table.available_at: pd.Timestamp(until).as_unit("us")})
    events = contract.features(spec.name).events(tables)
    events = events[events[spec.label].notna()]
    events = events.sample(min(leaks.ROWS, len(events)), random_state=0).sort_values("event_timestamp")
    asked = {name: events[name].astype(object).where(events[name].notna(), None).tolist() for name in spec.request}
    on_request = contract.on_request(spec.name)
    columns = on_request(asked) if on_request else asked
    known = pd.DataFrame({name: columns[name] for name in spec.column_types(*leaks.KINDS) if name in columns})
    outcome = tasks.of(spec).encode(events[spec.label], f"projects/{spec.name}, column {spec.label}")
    target = pd.Series(outcome.to_numpy())
    return leaks.find(known, target, classes=bool(tasks.of(spec).classes), by_time=spec.training.split == "time")
