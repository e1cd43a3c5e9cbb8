"""The section ``publish`` of a project's specification: where answers go, a class for each kind of sink."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Discriminator, Field, model_validator

from stack.specification.addresses import Broker, Url
from stack.specification.sections import Spec


class SinkSection(Spec):
    """What every kind of sink has. A value may hold ``${NAME}``, which stands for the key NAME of ``.env``."""

    whole_forecasts: ClassVar[bool] = False
    """Whether a forecast is one answer with all of its steps, and not an answer a step."""

    name: str = Field("", pattern=r"^[a-z0-9_-]*$")
    """Tells sinks of a project apart; the kind when left out. A sink with a new name starts with new answers."""
    when: Literal["scheduled", "each"] = "scheduled"
    """Which answers: those of scheduled predictions (`schedules.predict`), or each, those of the endpoint too."""
    max_waiting: int = Field(100_000, ge=1)
    """So many answers at most wait for a receiver that is away; of more, the oldest are dropped, with an alarm."""

    @model_validator(mode="before")
    @classmethod
    def _named_as_its_kind(cls, section: Any) -> Any:
        kind = section.get("kind") if isinstance(section, dict) else None
        return {"name": kind} | section if isinstance(kind, str) else section


class Mqtt(SinkSection, Broker):
    """An MQTT broker: each answer is the retained state of a topic, a sensor of Home Assistant appears by itself.

    A forecast is one state: the next step's, with all steps in the attribute `forecast`.
    """

    whole_forecasts = True

    kind: Literal["mqtt"]
    prefix: str = Field("homelab", pattern=r"^[^+#\s]+$")
    """Answers go to the topic `<prefix>/<project>/<key>`, of each key a level, and to `.../state` without one."""
    key: str = ""
    """Request field whose values have a topic and a sensor each; by default a forecast's keys, or the only entity."""
    discovery: str = Field("homeassistant", pattern=r"^[^+#\s]*$")
    """Home Assistant's discovery prefix; no sensor is announced when empty."""
    output: str = ""
    """Field of the answer that is the sensor's state: its first number, or the decision, when left out."""
    unit: str = ""
    """Of the sensor, as kWh."""
    device_class: str = ""
    """Of the sensor, as energy: https://www.home-assistant.io/integrations/sensor#device-class."""


class Webhook(SinkSection):
    """A URL: each answer is posted as a JSON object, its id in the header `Idempotency-Key`. 2xx acknowledges it.

    A forecast is one object: the next step's, with all steps in the field `forecast`.
    """

    whole_forecasts = True

    kind: Literal["webhook"]
    url: Url = Field(pattern=r"^https?://|^\$\{")
    """Receives the answers."""
    headers: dict[str, str] = {}
    """Further headers, as `Authorization: Bearer ${HOOK_TOKEN}`."""


class Sql(SinkSection):
    """A table of a database, made by the sink: a row each answer, by its id."""

    kind: Literal["sql"]
    url: Url
    """SQLAlchemy URL, as ``postgresql+psycopg://me:${DB_PASSWORD}@nas/home``."""
    table: str = Field("", pattern=r"^\w*$")
    """The table; `<project>_predictions` when left out."""


class File(SinkSection):
    """A file that grows: CSV or JSON lines, a line each answer."""

    kind: Literal["file"]
    path: str = Field(pattern=r"\.(csv|jsonl)$")
    """Ends in .csv or .jsonl; a relative path is below ``published/<project>`` in the state folder."""


Sink = Annotated[Mqtt | Webhook | Sql | File, Discriminator("kind")]


def named_once(sinks: list[Sink]) -> list[Sink]:
    """Refuse two sinks of a name."""
    names = [sink.name for sink in sinks]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"{names.count(name)} sinks are called {name}: give each a name of its own")
    return sinks


Sinks = Annotated[list[Sink], AfterValidator(named_once)]
