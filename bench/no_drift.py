"""``python -m bench.no_drift``: how often the drift policy of the flights retrains where nothing drifts.

The days of January to March are drawn at random, 59 to fit a model and 28 to look at, 200 times: no day knows
whether it came before or after, so every retraining that a measured metric asks for is a false alarm. One by the
champion's age is no alarm but a plan, as it looks at no outcome: it comes with drift and without. It does not count.
Takes a quarter hour.
"""

import sys
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import lru_cache

import numpy as np
from pandas import DataFrame, Timedelta, Timestamp, merge_asof

from monitoring.policy import decide
from projects.flights import features, source
from stack.kit.drift import Window
from stack.specification import specs, tasks
from stack.training import candidates

TRIALS, FITTED, LOOKED_AT = 200, 59, 28
WORKERS = 2
AT = datetime(2013, 6, 1, tzinfo=UTC)
BAR = 0.025


@lru_cache
def quarter() -> DataFrame:
    """Flights of 1 January to 28 March with the features of their own instants and their local day."""
    spec = specs.load("flights")
    since, until = Timestamp("2013-01-01", tz="UTC"), Timestamp("2013-03-31", tz="UTC")
    tables = source.fetch(since, until)
    rows = features.events(tables).sort_values("event_timestamp", ignore_index=True)
    for view, table in features.build(tables, since, until).items():
        ttl = Timedelta(hours=3 if view == "weather" else 2)
        ordered = table.sort_values("event_timestamp")
        rows = merge_asof(rows, ordered, on="event_timestamp", by=table.columns[0], tolerance=ttl)
    rows = rows.assign(**features.on_request({name: rows[name].tolist() for name in spec.request}))
    rows = rows.assign(day=rows["event_id"].str[:10]).astype({spec.label: "float64"})
    return rows[rows["day"] <= "2013-03-28"]


def trial(seed: int) -> tuple[bool, float]:
    """Fit on days drawn by `seed`; say whether the policy raises an alarm for the others, and the bias it saw."""
    spec, rows = specs.load("flights"), quarter()
    days = np.random.default_rng(seed).permutation(np.sort(rows["day"].unique()))
    fit, seen = (rows[rows["day"].isin(set(part))] for part in (days[:FITTED], days[FITTED : FITTED + LOOKED_AT]))
    name = spec.training.candidates[-1]
    centre = dict(candidates.available(spec, len(fit))[name].initial_params)
    pipeline = candidates.fit(spec, name, centre, fit)
    answer = tasks.of(spec).predict(pipeline, candidates.frame(spec, seen))
    bias = float(answer.mean() - seen[spec.label].mean())
    window = Window(AT, len(seen), drift_share=0.0, prediction_drift=False, labelled=len(seen), bias=bias)
    verdict = decide(spec.monitoring, [window], at=AT, cutoff=AT - timedelta(days=LOOKED_AT))
    return any(reason.action == "retrain" for reason in verdict.reasons if reason.name != "age"), bias


def main() -> int:
    """Print the share of false alarms; the exit code is 1 when it misses its bar."""
    asked, biases = [], []
    with ProcessPoolExecutor(WORKERS) as pool:
        for alarm, bias in pool.map(trial, range(TRIALS)):
            asked.append(alarm)
            biases.append(bias)
            print(f"\r{len(asked)} of {TRIALS} trials, {sum(asked)} alarms", end="", flush=True)
    share = float(np.mean(asked))
    print(f"\nno drift {share:.1%} of {TRIALS} trials raise an alarm (bar {BAR:.1%}); bias {np.std(biases):.4f} (sd)")
    return 0 if share <= BAR else 1


if __name__ == "__main__":
    sys.exit(main())
