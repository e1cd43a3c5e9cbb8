"""The flights project on a running stack: what the first pipeline leaves, and what a bad batch does not."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import httpx
import numpy as np
import pandas as pd
import pytest

from stack.core.settings import Settings
from stack.features import features
from stack.lake import lake
from stack.project import Project, contract
from stack.specification import specs
from tests.forks import Forks
from tests.polling import PATIENCE_SECONDS
from tests.stacks import prefect_api

pytestmark = pytest.mark.services
NOW = datetime(2013, 3, 1, tzinfo=UTC)
FLIGHTS = specs.load("flights")
Batch = dict[str, pd.DataFrame]


def ask(settings: Settings, rows: pd.DataFrame) -> list[dict[str, object]]:
    """Ask the prediction service about requests."""
    body = json.loads(rows[list(FLIGHTS.request)].to_json(orient="records", date_format="iso", date_unit="us"))
    answer = httpx.post(f"{settings.prediction_url}/flights/predict", json={"rows": body}, timeout=PATIENCE_SECONDS)
    assert answer.status_code == 200, answer.text
    return answer.json()  # type: ignore[no-any-return]


def test_champion_is_as_good_as_the_reference(running: Settings) -> None:
    champion = Project(running, FLIGHTS).registry.require_champion()
    assert champion.cutoff == NOW == Project(running, FLIGHTS).clock.now()
    assert champion.tag("stack.data_revision") == lake.newest_revision(running)
    assert float(champion.tag("auc")) == pytest.approx(0.717, abs=0.005)


def test_features_served_are_the_features_of_the_offline_store(running: Settings) -> None:
    requests = contract.request_source(FLIGHTS.name).requests(NOW, NOW + timedelta(days=2)).head(1000)
    answers = [row for start in range(0, 1000, 200) for row in ask(running, requests.iloc[start : start + 200])]

    logged = Project(running, FLIGHTS).log.read(NOW - timedelta(seconds=1), NOW).set_index("id")
    served = logged.loc[[row["prediction_id"] for row in answers]].reset_index(drop=True)
    events = requests.assign(event_timestamp=pd.Timestamp(NOW).as_unit("us"))
    offline = features.training_set(Project(running, FLIGHTS), events).reset_index(drop=True)

    numbers, categories = FLIGHTS.column_types("number"), FLIGHTS.column_types("category")
    actual = served[numbers].astype("float64").to_numpy(na_value=np.nan).astype("float32")
    expected = offline[numbers].to_numpy("float32")
    differ = ~((actual == expected) | (np.isnan(actual) & np.isnan(expected))).all(axis=1)
    differ |= (served[categories].to_numpy() != offline[categories].to_numpy()).any(axis=1)
    assert len(served) == 1000
    assert int(differ.sum()) == 0


def duplicated(tables: Batch) -> Batch:
    return tables | {"flights": pd.concat([tables["flights"], tables["flights"]])}


def celsius(tables: Batch) -> Batch:
    weather = tables["weather"]
    changed = {name: (weather[name] - 32) / 1.8 for name in ("temp", "dewp")}
    return tables | {"weather": weather.assign(**changed)}


def without_a_column(tables: Batch) -> Batch:
    return tables | {"flights": tables["flights"].drop(columns="arr_delay")}


@pytest.mark.parametrize(
    ("broken", "message"), [(duplicated, "one row of each"), (celsius, "humidity"), (without_a_column, "arr_delay")]
)
def test_bad_batch_is_quarantined_and_nothing_downstream_changes(
    running: Settings, forks: Forks, broken: Callable[[Batch], Batch], message: str
) -> None:
    before = lake.newest_revision(running), Project(running, FLIGHTS).lake.batches()["until"].max()
    ended = forks.run(INGEST.format(broken=broken.__name__), 300)
    assert ended.exit_code == 1, ended.output
    run = last_run(running, "ingest")
    assert run["state"]["type"] == "FAILED"
    assert message in run["state"]["message"].lower()

    assert (lake.newest_revision(running), Project(running, FLIGHTS).lake.batches()["until"].max()) == before
    verdict = json.loads(
        (running.quarantine / "flights" / "20130301T000000Z_20130302T000000Z/verdict.json").read_text()
    )
    assert verdict["accepted"] is False
    assert (running.data_docs / verdict["page"]).is_file()


INGEST = """
from datetime import UTC, datetime
from projects.flights import source
from flows.ingest import ingest
from tests.end_to_end.test_flights import {broken} as broken
from tests.stacks import prefect_api
fetch = source.fetch
source.fetch = lambda since, until: broken(fetch(since, until))
ingest("flights", until=datetime(2013, 3, 2, tzinfo=UTC))
"""


def last_run(settings: Settings, flow: str) -> dict[str, dict[str, str]]:
    """Prefect's record of the newest run of a flow."""
    question = {"flows": {"name": {"any_": [flow]}}, "sort": "START_TIME_DESC", "limit": 1}
    return prefect_api(settings).post("/flow_runs/filter", json=question).json()[0]  # type: ignore[no-any-return]
