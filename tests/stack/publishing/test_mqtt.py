"""Topics of a broker: one for each series."""

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from stack.publishing.receivers import connect
from stack.specification import specs
from tests.stack.publishing.servers import Mosquitto, eventually

SALES = {
    "name": "sales",
    "title": "How many are sold in each of the next two days?",
    "task": "forecast",
    "label": "sold",
    "source": {"path": "sales.csv"},
    "forecast": {"every": "1d", "steps": 2},
    "columns": {
        "shop": {"type": "string", "role": "key", "example": "High Street"},
        "product": {"type": "string", "role": "key", "example": "tea"},
        "day": {"type": "datetime", "role": "time", "example": "2025-01-01T00:00:00Z"},
        "sold": {"type": "number"},
    },
}


@pytest.mark.parametrize(
    ("sink", "topics"),
    [
        ({}, {"homelab/sales/High_Street/tea", "homelab/sales/High_Street/salt", "homelab/sales/Quay/tea"}),
        ({"key": "product"}, {"homelab/sales/tea", "homelab/sales/salt"}),
    ],
)
def test_each_series_of_a_forecast_has_its_topic_and_sensor(
    settings, tmp_path: Path, sink: dict[str, Any], topics: set[str]
):
    broker = Mosquitto(tmp_path)
    broker.start()
    try:
        subscriber = broker.subscriber()
        spec = specs.parse(SALES | {"publish": [broker.sink | sink]}, tmp_path / "sales" / "project.yaml")
        series = [("High Street", "tea"), ("High Street", "salt"), ("Quay", "tea")]
        messages = [
            {"prediction_id": str(number), "shop": shop, "product": product, "prediction": 1.5}
            for number, (shop, product) in enumerate(series)
        ]
        with closing(connect(settings, spec, spec.publish[0])) as publisher:
            assert [*publisher.deliver(messages)] == [3]
            eventually(lambda: len(broker.received()) == 3, 60)
        subscriber.loop_stop()
    finally:
        broker.kill()
    answers = {topic for topic, payload, _ in broker.messages if '"prediction_id"' in payload}
    sensors = [topic for topic, *_ in broker.messages if topic.startswith("homeassistant/sensor/")]
    assert answers == topics and len(set(sensors)) == len(sensors) == len(topics)
