"""Announce sensors to Home Assistant: https://www.home-assistant.io/integrations/mqtt#mqtt-discovery."""

import json
import re

from stack.core.settings import Settings
from stack.specification import tasks
from stack.specification.sinks import Mqtt
from stack.specification.specs import ProjectSpec


class Sensors:
    """The sensors of a sink: one for each topic of answers, all of one device, the project."""

    def __init__(self, settings: Settings, spec: ProjectSpec, sink: Mqtt, availability: str) -> None:
        self.spec, self.sink, self.availability = spec, sink, availability
        dtypes = tasks.of(spec).answer_dtypes
        self._output = sink.output or ("decision" if spec.task == "multiclass" else next(iter(dtypes)))
        self._is_number = dtypes.get(self._output) == "float64"
        self._device = _identifier(f"{settings.name}_{spec.name}")
        self._announced: set[str] = set()

    def announce(self, topic: str, key: str) -> tuple[str, str] | None:
        """Return topic and text that announce the sensor of a topic of answers; None when it has been announced."""
        if not self.sink.discovery or topic in self._announced:
            return None
        self._announced.add(topic)
        identifier = f"{self._device}_{_identifier(key)}" if key else self._device
        text = {
            "name": f"{self.spec.label} {key}".strip(),
            "unique_id": identifier,
            "object_id": identifier,
            "state_topic": topic,
            "value_template": f"{{{{ value_json.{self._output} }}}}",
            "json_attributes_topic": topic,
            "availability_topic": self.availability,
            "device": {"identifiers": [self._device], "name": self.spec.name, "manufacturer": "homelab-mlops"},
        }
        text |= {"state_class": "measurement"} if self._is_number else {}
        text |= {"unit_of_measurement": self.sink.unit} if self.sink.unit else {}
        text |= {"device_class": self.sink.device_class} if self.sink.device_class else {}
        return f"{self.sink.discovery}/sensor/{identifier}/config", json.dumps(text)


def _identifier(name: str) -> str:
    return re.sub(r"[^a-zA-Z0-9_-]", "_", name)
