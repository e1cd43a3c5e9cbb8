"""Scheduled predictions: the champion answers for what the source's requests have had since the last time.

A forecast answers for the next steps of each series.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
from pandas import DataFrame

from stack.core.clock import require_vouched
from stack.features import features
from stack.prediction_log import schedule
from stack.prediction_log.predictions import Prediction
from stack.project import Project, contract
from stack.project.contract import ForecastSource, LateSource
from stack.registry.registry import Version
from stack.serving.client import prediction_ids
from stack.serving.scoring import loaded
from stack.serving.served import ServedModel
from stack.specification import forecasts
from stack.specification.frames import INSTANT
from stack.specification.request import MAX_ROWS
from stack.specification.table import ROWS

ALIVE = timedelta(days=7)
"""A series without a value for so long is not forecast."""


def answer(project: Project, until: datetime) -> int:
    """Answer and log the requests up to `until` that have no answer yet; return their number.

    After downtime the window reaches back to the end of the last one. Requests are asked for from one window earlier
    on, as some come late; where the source says when a row came, older ones that came since then are asked for too. The
    id of an answer follows from its event, so that a run which was killed answers nothing twice.
    """
    require_vouched(project.settings, project.clock, until)
    database, name = project.settings.state_database, project.name
    since = schedule.predicted_until(database, name) or project.spec.schedules.last("predict", until)
    if since >= until:
        return 0
    if project.spec.forecast:
        requests = _next_steps(project, until)
    else:
        requests = _requests(project, since - (until - since), until)
    requests = requests.sort_values("asked_at", kind="stable")
    requests = requests.assign(prediction_id=prediction_ids(project.spec, requests["event_id"].astype(str)))
    requests = requests.drop_duplicates("prediction_id", keep="last")  # a source may give a row again
    answered, version = 0, project.registry.require_champion()
    steps = project.spec.forecast.steps if project.spec.forecast else 1
    size = MAX_ROWS - MAX_ROWS % steps  # a forecast is published as a whole
    with loaded(project.settings, version) as model:
        for start in range(0, len(requests), size):
            part = requests.iloc[start : start + size]
            new = part[~part["prediction_id"].isin([*project.log.asked_at(part["prediction_id"].tolist())])]
            if len(new):
                project.log.write([*predict(project, version, model, new)], scheduled=True)
                answered += len(new)
    schedule.mark_predicted(database, name, until)
    return answered


def _requests(project: Project, since: datetime, until: datetime) -> DataFrame:
    """Return the requests of a window, and the earlier ones that came in it."""
    source = contract.request_source(project.name)
    requests = source.requests(since, until)
    late = source.late(since, until) if isinstance(source, LateSource) else DataFrame()
    return pd.concat([late, requests], ignore_index=True) if len(late) else requests


def _next_steps(project: Project, at: datetime) -> DataFrame:
    """Return a forecast's questions at an instant: the next steps of each series that had a value in the last days.

    What is known ahead of a step comes from the source's own rows, where it has them, and is missing otherwise.
    """
    spec, time, keys = project.spec, forecasts.time_of(project.spec), forecasts.keys(project.spec)
    targets = forecasts.targets(spec, at)
    asked = DataFrame({time: pd.Series(targets, dtype=INSTANT)})
    if keys:
        series = project.lake.recent(at - ALIVE, at)[ROWS][keys].drop_duplicates()
        asked = series.merge(asked, how="cross")
    if isinstance(project.source, ForecastSource):
        known = project.source.ahead(forecasts.origin(spec, at), targets[-1])
        asked = asked.merge(known[[*keys, time, *forecasts.inputs(spec)]], how="left", on=[*keys, time])
    ids = asked[[*keys, time]].astype(str).agg("-".join, axis=1) + f"-{at.isoformat()}"
    return asked.reindex(columns=[*asked, *(name for name in spec.request if name not in asked)]).assign(
        event_id=ids, asked_at=pd.Timestamp(at)
    )


def predict(project: Project, version: Version, model: ServedModel, requests: DataFrame) -> Iterator[Prediction]:
    """Yield the answers to requests, with the features that were known at the instant of each."""
    spec, task, answered_at = project.spec, project.task, datetime.now(UTC)
    frame = features.training_set(project, requests.rename(columns={"asked_at": "event_timestamp"}))
    seen = frame[[*spec.features.columns]]
    outputs = model.answer({column: seen[column] for column in spec.features.columns})
    rows = zip(_records(requests), _records(seen), outputs.tolist(), strict=True)
    for request, values, output in rows:
        yield Prediction(
            request["prediction_id"],
            asked_at=request["asked_at"].to_pydatetime(),
            answered_at=answered_at,
            request={field: request[field] for field in spec.request},
            features=values,
            features_at=None,
            model_version=version.version,
            answer=task.reply(output, model.threshold),
        )


def _records(frame: DataFrame) -> list[dict[str, Any]]:
    """Return rows as the log takes them: a missing value is None."""
    records = frame.to_dict("records")
    return [{str(name): None if pd.isna(value) else value for name, value in row.items()} for row in records]
