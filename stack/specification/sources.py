"""The section ``source`` of a project's specification: where its rows come from, a class for each kind."""

from datetime import timedelta
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AwareDatetime, BeforeValidator, Discriminator, Field, model_validator

from stack.specification.addresses import Broker, Secret, SecretValues, Url
from stack.specification.schedules import Zone
from stack.specification.sections import Spec

SENSOR = r"^[a-z0-9_]+[.:][a-zA-Z0-9_]+( (mean|min|max|state|sum|change))?$"
Sensor = Annotated[str, Field(pattern=SENSOR)]


class SourceSection(Spec):
    """What every kind of source has. Values that name a secret of ``.env`` are written ``${NAME}``."""

    knows_when: ClassVar[bool] = False
    """Whether the source says since when each row is known."""
    numbered: ClassVar[bool] = False
    """Whether the number of its line may identify a row."""
    key: list[str] = []
    """Columns that identify a row, as the project calls them; when left out, the number of its line does in a file."""
    zone: Zone = "UTC"
    """Zone of instants that name none, and of the local clock of formulas such as `hour(date)`."""
    known_after: timedelta = timedelta(0)
    """How long after its instant the outcome of a row is known, where no column says so (`role: known`)."""


class Storage(Spec):
    """Where the buckets of `s3://` are: Amazon's when left out, with the keys of its own tools."""

    endpoint: str = ""
    """Address of another server, like `http://nas:9000`."""
    region: str = ""
    """Region of the bucket."""
    access_key: str = ""
    """Key of the server, as `${S3_KEY}` ..."""
    secret_key: Secret = ""
    """... and its secret, as `${S3_SECRET}`."""
    anonymous: bool = False
    """Whether the bucket is read without keys."""


Format = Literal["csv", "parquet", "excel", "json", "jsonl"]


class FileSection(SourceSection):
    """What a file and a folder have."""

    path: Url
    """Where it is: a path, a relative one below the project's folder, or a URL like `s3://bucket/sales.parquet`."""
    format: Format | None = None
    """What it holds, where its ending (with or without `.gz`) does not say so."""
    options: dict[str, Any] = {}
    """Arguments of pandas' reader, as `sep` and `decimal` of `read_csv`, `sheet_name` of `read_excel`."""
    storage: Storage = Storage()
    """Of `s3://`."""


class File(FileSection):
    """A file: CSV, Parquet, Excel, JSON or JSON lines, on this machine or at a URL (`https://`, `s3://`, `file://`)."""

    numbered = True
    kind: Literal["file"] = "file"
    package: str = ""
    """PyPI package, by its import name, that carries the file; the path is then inside it."""


class Folder(FileSection):
    """A folder, or an `s3://` prefix: each file that is put there is read once, its rows known from then on."""

    knows_when = True
    kind: Literal["folder"] = "folder"
    pattern: str = "*"
    """Which files, like `*.csv` or `2024/**/*.csv`; hidden ones are never read."""
    settled: timedelta = Field(timedelta(seconds=10), ge=timedelta(0))
    """A file counts as complete when it has not changed for so long."""
    history: AwareDatetime | None = None
    """Files that were complete by then hold the past: each of their rows is known from its own instant on."""


class Asked(SourceSection):
    """What sources have that are asked for the rows of a window."""

    settled: timedelta = Field(timedelta(0), ge=timedelta(0))
    """How long after its instant (`role: known`, else `time`) a row may still appear in the source. Younger rows wait
    for the next ingest; without it, one that is written while an ingest reads can be missed."""


class Sql(Asked):
    """A table or query of a database. Nothing in it can be changed, where the database knows read-only transactions."""

    kind: Literal["sql"]
    url: Url
    """SQLAlchemy URL, like `postgresql://me:${SALES_PASSWORD}@nas/sales`, or all of it as `${SALES_DB}`."""
    table: str = ""
    """Table or view, with or without its schema, or ..."""
    query: str = ""
    """... a query, which may use `:since` and `:until`, the window. Only rows of the window are fetched, by the column
    that says when a row is known (`role: known`, else `time`); have an index on it."""

    @model_validator(mode="after")
    def _names_rows(self) -> Self:
        if bool(self.table) == bool(self.query):
            raise ValueError("table: a table, or a query, and not both")
        return self


class Pages(Spec):
    """How the rest of a long answer is asked for."""

    by: Literal["auto", "none", "number", "offset", "cursor", "link", "header"] = "auto"
    """By a parameter with the number of the page, the offset of its first row, or a cursor from the page before; by the
    link to the next page in the answer or in its header `Link`. Auto: as the first answer suggests."""
    parameter: str = ""
    """Name of that parameter; `page`, `offset` or `cursor` when left out."""
    first: int = 1
    """Number of the first page."""
    size: int | None = Field(None, ge=1)
    """Rows of a page, which `offset` needs ..."""
    size_parameter: str = "limit"
    """... and the parameter that says so."""
    path: str = ""
    """Where the cursor or link is in the answer, like `meta.next`."""
    total: str = ""
    """Where the number of all pages or rows is in the answer; when left out, an empty page is the last."""

    @model_validator(mode="after")
    def _has_size(self) -> Self:
        if self.by == "offset" and not self.size:
            raise ValueError("size: the number of rows of a page")
        return self


class Http(Asked):
    """The answer of a web service: JSON or CSV."""

    kind: Literal["http"]
    url: Url
    """Address, which may hold the window: `{since}` and `{until}` (ISO 8601), `{since:%Y-%m-%d}` (in `source.zone`),
    `{since:unix}` or `{since:unix_ms}`."""
    params: SecretValues = {}
    """Parameters, which may hold the window too."""
    headers: SecretValues = {}
    """Headers, as `Authorization: Bearer ${METER_TOKEN}`."""
    format: Literal["json", "csv"] | None = None
    """What the answer is; CSV for an address that ends in `.csv`, else JSON, when left out."""
    rows: str = ""
    """Where the rows are in JSON, like `data.items`, or `$` for all of it: a list of objects, or an object of lists;
    the first list when left out."""
    pages: Pages = Pages()
    """Of JSON."""
    options: dict[str, Any] = {}
    """Arguments of `pandas.read_csv`."""


class Influxdb(Asked):
    """Points of InfluxDB; the instant of a point is the column `time`."""

    kind: Literal["influxdb"]
    url: Url
    """Address, like `http://nas:8086`."""
    database: str = ""
    """Version 1: the database ..."""
    username: str = ""
    """... its user ..."""
    password: Secret = ""
    """... and password, as `${INFLUX_PASSWORD}`."""
    bucket: str = ""
    """Version 2: the bucket ..."""
    org: str = ""
    """... its organisation ..."""
    token: Secret = ""
    """... and a token, as `${INFLUX_TOKEN}`."""
    measurement: str = ""
    """Measurement; the columns are its fields and tags. Or ..."""
    tags: dict[str, str] = {}
    """... of points with these tags, like `entity_id: power`, or ..."""
    query: str = ""
    """... a query in InfluxQL or Flux, which may use `{since}` and `{until}`."""

    @model_validator(mode="after")
    def _names_points(self) -> Self:
        if bool(self.database) == bool(self.bucket):
            raise ValueError("database: a database (version 1), or a bucket (version 2), and not both")
        if bool(self.measurement) == bool(self.query):
            raise ValueError("measurement: a measurement, or a query, and not both")
        return self


class HomeAssistant(SourceSection):
    """Sensors of Home Assistant: a row for each period, with its start `time`, its `end`, and a column for each sensor.

    A row is known ten minutes after its end. Energy meters and the like count what was added in a period.
    """

    knows_when = True
    kind: Literal["home_assistant"]
    url: Url
    """Address, like `http://homeassistant.local:8123`."""
    token: Secret
    """Long-lived access token, made on the page of your profile there, as `${HOME_ASSISTANT_TOKEN}`."""
    sensors: dict[str, Sensor] = Field(min_length=1)
    """Column -> sensor, like `sensor.outdoor_temperature`, or with the statistic that is wanted, `sensor.power max`:
    mean, min, max, state, sum or change."""
    period: Literal["hour", "5minute"] = "hour"
    """Length of a period. Home Assistant keeps those of an hour for ever, those of five minutes for ten days."""
    history: bool = False
    """Whether to read the states themselves, of sensors without statistics too; they are kept for ten days. Of numbers
    the mean over time, of other states the last one of a period."""

    @model_validator(mode="after")
    def _history_has_means(self) -> Self:
        if self.history and any(" " in sensor for sensor in self.sensors.values()):
            raise ValueError("sensors: names alone, as history has no statistics")
        return self


class Mqtt(SourceSection, Broker):
    """Messages of an MQTT broker: a row each, kept on the disk before it is acknowledged, while the stack runs or not.

    The columns are `topic`, its levels `topic.0`, `topic.1` and so on, `received_at`, the keys of a JSON object, and
    `value` of a payload that is a number or a text.
    """

    knows_when = True
    kind: Literal["mqtt"]
    topics: list[str] = Field(min_length=1)
    """Topics or filters, like `zigbee2mqtt/+` or `meter/#`."""


class Push(FileSection):
    """Rows that programs send to `POST /<project>/rows`, kept on the disk before they are acknowledged.

    They have the names and types of `columns`, as requests have. A row with a known key replaces the earlier one.
    """

    knows_when = True
    kind: Literal["push"]
    path: Url = ""
    """File with the rows of the past, as of `kind: file`; none when left out."""

    @property
    def past(self) -> File | None:
        """The file with the rows of the past."""
        return File(**self.model_dump(exclude={"kind"})) if self.path else None


def _with_kind(section: Any) -> Any:
    return {"kind": "file"} | section if isinstance(section, dict) else section


Source = Annotated[
    File | Folder | Sql | Http | Influxdb | HomeAssistant | Mqtt | Push,
    Discriminator("kind"),
    BeforeValidator(_with_kind),
]
