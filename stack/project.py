"""The project specification: ``projects/<name>/project.yaml`` as a typed object, and the project's modules.

Every key is documented by the class that holds it; an unknown key is an error that names the nearest known one.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, Self
from zoneinfo import available_timezones

from cronsim import CronSim, CronSimError
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from stack import mistakes
from stack.errors import StackError, nearest
from stack.settings import ROOT

PROJECTS = ROOT / "projects"
YAML = "*/project.yaml"
DEFINITIONS = ROOT / "feature_repo"


class Spec(BaseModel):
    """A part of the specification: frozen, strict about unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Clock(Spec):
    """What "now" is: the wall clock, or a stored instant that a replay of recorded data advances."""

    kind: Literal["wall", "replay"] = "wall"
    start: AwareDatetime = datetime(1970, 1, 1, tzinfo=UTC)
    """First instant of data: the first pipeline ingests from here."""
    first_now: AwareDatetime | None = None
    """Replay only: "now" after the first pipeline."""


class Table(Spec):
    """A raw table of the lake."""

    key: list[str] = Field(min_length=1)
    """Columns that identify a row."""
    available_at: str = "available_at"
    """Column with the instant (UTC) at which a row is known; a batch holds rows with since < instant <= until."""
    snapshot: bool = False
    """The source gives the whole table each time, without the instants: rows that the lake lacks, or has with other
    values, are the batch, known from its end on."""


class RequestField(Spec):
    """A field that a caller sends with each prediction request."""

    type: Literal["string", "integer", "number", "boolean", "datetime"]
    description: str
    example: Any
    nullable: bool = False
    """The value may be missing: null, or left out."""
    unit: str = ""
    known: list[str] = []
    """Values seen in training; another one is answered with a warning, never refused."""
    pattern: str = ""
    ge: float | None = None
    le: float | None = None


class Features(Spec):
    """How features reach the model; the definitions themselves are in ``feature_repo/<name>.py``."""

    service: str
    """Name of the Feast feature service."""
    entities: list[str] = []
    """Join keys; each is a request field of the same name."""
    columns: dict[str, Literal["number", "category"]]
    """Feature columns in the model's order, and how the model reads each."""


class Training(Spec):
    """The protocol of training and the search over candidates."""

    candidates: list[str] = []
    """Among `dummy`, `linear`, `gradient_boosting` and those of the project's ``model.py``; all when left out."""
    centres: dict[str, dict[str, Any]] = {}
    """Candidate -> parameters where its search begins, instead of the usual ones."""
    trials: int = Field(8, ge=1)
    """Optuna trials over all candidates that have hyper-parameters."""
    split: Literal["time", "random"] = "time"
    """How rows are held out and folded: the latest ones, or, of a table without time, a seeded random share with the
    classes in proportion."""
    folds: int | None = Field(None, ge=1)
    """Folds inside the fit rows that a trial is scored on; pruned after each. By time they expand, in order, and are 2
    when left out; at random they are 5."""
    holdout: timedelta = timedelta(days=28)
    """By time: the most recent labelled rows, kept from the search: the gate decides on them."""
    holdout_share: float = Field(0.25, gt=0, lt=1)
    """By time the holdout is never more than this share of the labelled history (in whole days); at random it is this
    share of the rows."""
    seed: int = 7


class Gate(Spec):
    """Limits that a challenger meets on the holdout before it goes live."""

    limits: dict[str, tuple[float | None, float | None]] = {}
    """Metric -> [least, most], null for none. When left out, a model has skill: it beats the constant answer that fits
    best. A most for a metric that should be great catches leaks."""
    slices: dict[str, float] = {}
    """Column -> limit of the task's first metric (AUC, log-loss, RMSE, or the project's own) for each of its values."""
    max_loss_increase: float | None = None
    """Against the champion, on the same rows: the mean loss (log-loss, squared error) is never worse by more than this;
    by more than 1 % of the champion's when left out."""
    interval: float = Field(0.95, gt=0, lt=1)
    """A champion that is not due (``monitoring.max_age``, ``monitoring.max_bias``) is followed only by a challenger
    whose loss is lower with this confidence, by a paired bootstrap over days (at random: over rows) ..."""
    min_days: int = Field(7, ge=2)
    """... of which there are at least so many (of rows: 50)."""
    max_slice_loss_increase: dict[str, float] = {}
    """Column -> largest increase of the mean loss against the champion in the rows of any of its values."""
    approval: Literal["automatic", "manual"] = "automatic"
    """Manual: what passed waits in Prefect's UI for a person before it follows a champion."""
    max_served_difference: float = 1e-5
    """Largest difference of a probability between the served and the trained form; of a number, as a share of the
    largest one."""
    max_latency_ms: float = 50.0
    """Median time of one row through the served form."""


class Rollout(Spec):
    """How a challenger is shown to live requests before it is champion."""

    shadow: bool = False
    """It answers what the champion has answered, in the background; logged beside the prediction, never returned."""


class Monitoring(Spec):
    """What the monitoring flow compares, and the drift policy."""

    window: timedelta = timedelta(days=14)
    """Length of the current window that a report covers."""
    every: timedelta = timedelta(days=7)
    """A replay makes a report each time so much has been played."""
    method: Literal["psi", "ks", "wasserstein", "jensenshannon"] = "psi"
    threshold: float = 0.2
    """A column drifts above this value of the method; with `ks`, a p-value, below it."""
    max_drift_share: float = 0.3
    """A notice is given at this share of drifted columns."""
    max_missing_rise: float = 0.2
    """A notice is given when a column misses this share of its values more than in the reference."""
    min_rows: int = 1000
    """Fewer rows decide nothing."""
    max_bias: float | None = None
    """Retrain when |mean answer - mean outcome| over `bias_window` exceeds this: a probability, or the outcome's unit;
    null never does ..."""
    max_loss: float | None = None
    """... or when the mean loss (log-loss, squared error) of the same rows does ..."""
    bias_window: timedelta = timedelta(days=28)
    min_labelled: int = 1000
    """... with at least this many labelled rows since the champion's cut-off."""
    max_age: timedelta = timedelta(days=60)
    """Retrain when the champion's training cut-off is older than this."""
    breaches: int = Field(1, ge=1)
    """An alarm counts (drift, predictions, bias, loss) when so many windows break its limit ..."""
    windows: int = Field(1, ge=1)
    """... of the last so many reports, the newest among them."""
    cool_down: timedelta = timedelta(days=14)
    """After a retraining was asked for, so long no other is: what would ask gives notice."""

    @model_validator(mode="after")
    def _breaches_fit(self) -> Self:
        if self.breaches > self.windows:
            raise ValueError(f"breaches: {self.breaches} of {self.windows} windows can never be")
        return self


class Schedules(Spec):
    """When flows start by themselves, on the wall clock: cron expressions of five fields."""

    timezone: str = "UTC"
    """Zone of the expressions, like Europe/Berlin: they keep to its local time through the change of the clocks."""
    ingest: str | None = None
    """When new rows are fetched, checked and appended, like "0 4 * * *"."""
    monitor: str | None = None
    """When drift and performance are reported and the drift policy is asked."""
    train: str | None = None
    """When a challenger is trained whatever the drift policy says."""

    @field_validator("ingest", "monitor", "train")
    @classmethod
    def _is_cron(cls, expression: str | None) -> str | None:
        if expression is not None:
            try:
                CronSim(expression, datetime(2024, 1, 1))  # noqa: DTZ001  # any instant will do
            except CronSimError as error:
                raise ValueError(f'a cron expression of five fields, like "0 4 * * *" ({error})') from None
        return expression

    @field_validator("timezone")
    @classmethod
    def _is_zone(cls, name: str) -> str:
        if name not in available_timezones():
            raise ValueError(f"the name of a time zone, like Europe/Berlin{nearest(name, available_timezones())}")
        return name

    @property
    def crons(self) -> dict[str, str]:
        """Flow -> expression, of the flows that have one."""
        return {flow: cron for flow in ("ingest", "monitor", "train") if (cron := getattr(self, flow))}


class ProjectSpec(Spec):
    """One side project: everything that is not code."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    title: str
    task: Literal["binary", "multiclass", "regression"] = "binary"
    label: str
    """Column with the outcome."""
    classes: list[bool | int | str] = []
    """The outcomes as the source names them: of two the second is the positive one; 0 and 1 when left out."""
    threshold: float = Field(0.5, gt=0, lt=1)
    """Binary: the decision is positive from this probability on."""
    package: str = ""
    """PyPI package that carries the data of an example; where it is absent, so is the project."""
    clock: Clock = Clock()
    tables: dict[str, Table]
    request: dict[str, RequestField]
    features: Features
    training: Training = Training()
    gate: Gate = Gate()
    rollout: Rollout = Rollout()
    monitoring: Monitoring = Monitoring()
    schedules: Schedules = Schedules()

    @field_validator("features")
    @classmethod
    def _nothing_twice(cls, features: Features) -> Features:
        if not features.columns:
            raise ValueError("at least one feature column")
        return features

    @model_validator(mode="after")
    def _classes_of_the_task(self) -> Self:
        count, most = len(self.classes), {"binary": 2, "regression": 0}.get(self.task, 1000)
        least = 3 if self.task == "multiclass" else 0
        if not (least <= count <= most) or (self.task == "binary" and count == 1) or len(set(self.classes)) < count:
            wanted = {"binary": "two classes, or none for 0 and 1", "regression": "none", "multiclass": "three or more"}
            raise ValueError(f"classes: {count} found, a {self.task} task has {wanted[self.task]}, each once")
        return self

    @model_validator(mode="after")
    def _schedules_of_the_wall_clock(self) -> Self:
        if self.schedules.crons and self.clock.kind == "replay":
            raise ValueError("schedules: a replayed clock has none, as `make replay` moves it")
        return self

    @property
    def folder(self) -> Path:
        """The project's folder in the checkout."""
        return PROJECTS / self.name

    def module(self, noun: Literal["source", "features", "checks"]) -> ModuleType:
        """Import ``projects/<name>/<noun>.py``."""
        return import_module(f"projects.{self.name}.{noun}")

    def column_types(self, kind: Literal["number", "category"]) -> list[str]:
        """Feature columns of one kind, in the model's order."""
        return [column for column, found in self.features.columns.items() if found == kind]


def names() -> list[str]:
    """Names of the projects in the checkout, sorted; an example counts when its data is installed."""
    return [name for name, package in _packages().items() if not package or find_spec(package)]


def examples() -> list[str]:
    """Names of the examples whose data is not installed."""
    return [name for name, package in _packages().items() if package and not find_spec(package)]


def _packages() -> dict[str, str]:
    """Project -> the key `package` of its project.yaml, which is read without parsing the rest: it is asked often."""
    found = {path.parent.name: re.search(r"(?m)^package: *(\w+)", path.read_text()) for path in PROJECTS.glob(YAML)}
    return {name: match[1] if match else "" for name, match in sorted(found.items())}


def load(name: str) -> ProjectSpec:
    """Read and check ``projects/<name>/project.yaml``.

    Raises:
        StackError: no such project, or a key is unknown, missing or malformed.
    """
    path = PROJECTS / name / "project.yaml"
    if name in examples():
        raise StackError(
            f"projects/{name}",
            found="an example whose data is not installed",
            expected=f"the data package {_packages()[name]}",
            todo=f"run `make example NAME={name}`, which installs it and runs the project",
        )
    if not path.is_file():
        raise StackError(
            f"projects/{name}",
            found=f"no project of this name{nearest(name, names())}",
            expected=f"one of {', '.join(names())}",
            todo="name an existing project",
        )
    return parse(mistakes.read(path), path)


def parse(raw: Any, path: Path) -> ProjectSpec:
    """Check the parsed YAML of `path` against the specification.

    Raises:
        StackError: names the file, the key, what was found and what was expected.
    """
    try:
        spec = ProjectSpec.model_validate(raw)
    except ValidationError as error:
        raise next(iter(mistakes.explain(ProjectSpec, error, path).values())) from None
    if spec.name != path.parent.name:
        raise StackError(
            f"{path}, key name",
            found=spec.name,
            expected=path.parent.name,
            todo="name the project as its folder",
        )
    return spec


def instant(text: str) -> datetime:
    """Parse an ISO 8601 instant; one without a zone is an error, as everything inside is UTC.

    Raises:
        StackError: not an instant, or one without a zone.
    """
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        parsed = None
    if parsed is None or parsed.tzinfo is None:
        raise StackError(
            "instant",
            found=repr(text),
            expected="ISO 8601 with a zone, like 2013-03-01T00:00:00Z",
            todo="add the zone",
        )
    return parsed


def end_of(text: str) -> datetime:
    """The end (UTC) of an ISO 8601 date, or the instant that is named.

    Raises:
        StackError: neither, or an instant without a zone.
    """
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return instant(text)
    return datetime.combine(day + timedelta(days=1), time(), UTC)
