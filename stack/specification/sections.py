"""The sections of a project's specification: what each key of ``projects/<name>/project.yaml`` means.

``python -m stack.authoring.reference`` makes the table of docs/projects.md of the docstrings here.
"""

import warnings
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Literal, Self, get_args

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, field_validator, model_validator

from stack.specification.formulas import Formula, parse

Kind = Literal["number", "category", "text"]
KINDS: tuple[Kind, ...] = get_args(Kind)
"""How models read features, in the order that they take them."""


def key_of(table: Mapping[str, object]) -> AfterValidator:
    """Accept the keys that a table has when a specification is read."""

    def check(name: str) -> str:
        if name not in table:
            raise ValueError(f"one of {', '.join(map(repr, table))}")
        return name

    return AfterValidator(check)


class Spec(BaseModel):
    """A part of the specification: frozen, strict about unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    renamed: ClassVar[dict[str, str]] = {}
    """Former name of a key -> its name now; the former one is read for one release."""

    @model_validator(mode="before")
    @classmethod
    def _read_former_names(cls, section: Any) -> Any:
        former = cls.renamed.keys() & section.keys() if isinstance(section, dict) else set()
        for key in former:
            warnings.warn(f"key {key} of project.yaml is now {cls.renamed[key]}", FutureWarning, stacklevel=2)
        return {cls.renamed.get(key, key): value for key, value in section.items()} if former else section


class Clock(Spec):
    """What "now" is: the wall clock, or a stored instant that a replay of recorded data advances."""

    kind: Literal["wall", "replay"] = "wall"
    """Wall: now is now. Replay: `make replay` moves it."""
    start: AwareDatetime = datetime(1970, 1, 1, tzinfo=UTC)
    """First instant of data: the first pipeline ingests from here."""
    first_now: AwareDatetime | None = None
    """Replay only: "now" after the first pipeline."""

    @field_validator("start", "first_now")
    @classmethod
    def _in_utc(cls, at: datetime | None) -> datetime | None:
        return at and at.astimezone(UTC)


class Table(Spec):
    """A raw table of the lake."""

    key: list[str] = Field(min_length=1)
    """Columns that identify a row."""
    available_at: str = "available_at"
    """Column with the instant (UTC) at which a row is known; a batch holds rows with since < instant <= until."""
    snapshot: bool = False
    """The source gives the whole table each time, without the instants: rows that the lake lacks, or has with other
    values, are the batch, known from its end on."""
    corrected: bool = False
    """A known key may come again: from then on the later row counts, in place of the earlier one."""

    @property
    def identity(self) -> list[str]:
        """The columns that identify a row of the lake, where a key may return with other values."""
        return [*self.key, self.available_at] if self.snapshot or self.corrected else self.key


class Features(Spec):
    """How features reach the model; Feast definitions of one's own are in ``feature_repo/<name>.py``."""

    service: str
    """Name of the Feast feature service; `<name>_v1` when left out."""
    entities: list[str] = []
    """Join keys; each is a request field of the same name. Those that formulas of the past name when left out."""
    columns: dict[str, Kind] = Field(min_length=1)
    """Feature columns in the model's order, and how the model reads each; formulas and columns when left out. Of a text
    the words are counted (TF-IDF, or counts of the most telling ones)."""
    monotonic: dict[str, Literal["increasing", "decreasing"]] = {}
    """Number column -> direction: with all else equal, a greater value never lowers (increasing) or never raises
    (decreasing) the answer. Candidates that cannot promise it, as `linear`, are left out of the search."""
    encode: dict[str, Literal["target"]] = {}
    """Category column -> `target`: the model reads the mean outcome of its value in the rows of a fit, drawn to that of
    all rows where the value is rare, instead of the value. For a column of many values; of an unknown one it is the
    mean of all rows."""
    offset: str = ""
    """Number column that the answer is added to: the model learns the difference from it. Missing values count 0."""
    formulas: dict[str, str] = {}
    """Feature column -> formula, beside the columns themselves: `mean(sales, 7d) by store`, `count(28d) by store`,
    `price / customers`, `hour(date)`."""

    @field_validator("formulas")
    @classmethod
    def _can_be_parsed(cls, written: dict[str, str]) -> dict[str, str]:
        for name, text in written.items():
            try:
                parse(text)
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from None
        return written

    @model_validator(mode="after")
    def _categories_are_encoded(self) -> Self:
        if strange := next((name for name in self.encode if self.columns.get(name) != "category"), None):
            raise ValueError(f"encode.{strange}: no category of the features")
        return self

    @property
    def parsed(self) -> dict[str, Formula]:
        """The formulas, parsed."""
        return {name: parse(text) for name, text in self.formulas.items()}


class Training(Spec):
    """The protocol of training and the search over candidates."""

    renamed = {"centres": "initial_params"}

    candidates: list[str] = []
    """Among `dummy`, `linear`, `gradient_boosting`, with the extra boosters `lightgbm` and `xgboost`, and those of the
    project's ``model.py``; all when left out."""
    initial_params: dict[str, dict[str, Any]] = {}
    """Candidate -> hyper-parameters of its first trial, instead of the usual ones."""
    feature_sets: dict[str, list[str]] = {}
    """Name -> feature columns, which a sweep compares with all of them."""
    trials: int = Field(8, ge=1)
    """Optuna trials over all candidates that have hyper-parameters."""
    split: Literal["time", "random"] = "time"
    """How rows are held out and folded: the latest ones, or, of a table without time, a seeded random share with the
    classes in proportion."""
    group: str = ""
    """At random: a column of the events; rows with the same value, as of one patient, are held out together, so that
    the holdout says what a model is worth for groups that it has not seen. The column of role group when left out."""
    folds: int | None = Field(None, ge=1)
    """Folds inside the fit rows that a trial is scored on; pruned after each. By time they expand, in order, and are 2
    when left out; at random they are 5."""
    holdout: timedelta = timedelta(days=28)
    """By time: the most recent labelled rows, kept from the search: the gate decides on them."""
    holdout_share: float = Field(0.25, gt=0, lt=1)
    """By time the holdout is never more than this share of the labelled history (in whole days); at random it is this
    share of the rows."""
    max_rows: int = Field(1_000_000, ge=1000)
    """A training takes at most so many labelled rows. By time the most recent ones, over at least the time that gives
    the holdout its whole length; of more rows, a seeded random share of them, the classes in proportion."""
    calibrate: bool | None = None
    """Binary: the probabilities are calibrated, by a sigmoid or by isotonic regression, where that lowers the log-loss
    on every fold, by more than chance; false never does."""
    half_life: timedelta | None = Field(None, gt=timedelta(0))
    """By time: a row counts half as much in a fit as one so much later, like `90 days`; in metrics all count alike."""
    seed: int = 7
    """Of the search, the splits and the models."""

    @property
    def unit(self) -> Literal["days", "groups", "rows"]:
        """What a bootstrap draws: rows of one day, or group, resemble each other."""
        return "days" if self.split == "time" else "groups" if self.group else "rows"

    @model_validator(mode="after")
    def _fits_split(self) -> Self:
        if self.group and self.split == "time":
            raise ValueError("group: with split: random alone, as the latest rows are held out by time")
        if self.half_life and self.split == "random":
            raise ValueError("half_life: with split: time alone, as rows at random have no age")
        return self


class Gate(Spec):
    """Limits that a challenger meets on the holdout before it goes live."""

    limits: dict[str, tuple[float | None, float | None]] = {}
    """Metric -> [least, most], null for none. When left out, a model has skill: it beats the constant answer that fits
    best. A most for a metric that should be great catches leaks."""
    metric: Literal["loss", "cost"] = "loss"
    """What versions are compared by: the task's mean loss, or the mean cost of decisions, at most a constant one's."""
    slices: dict[str, float] = {}
    """Column -> limit of the task's first metric (AUC, log-loss, RMSE, or the project's own) for each of its values."""
    max_loss_increase: float | None = None
    """Against the champion, on the same rows: the mean loss (log-loss, squared error) is never worse by more than this;
    when left out by more than 1 % of the champion's, or the standard error of the difference where that is more."""
    interval: float = Field(0.95, gt=0, lt=1)
    """A champion that is not due (``monitoring.max_age``, ``monitoring.max_bias``) is followed only by a challenger
    whose loss is lower with this confidence, by a paired bootstrap over days (at random: over rows, or groups) ..."""
    min_days: int = Field(7, ge=2)
    """... of which there are at least so many (of rows: 50)."""
    max_slice_loss_increase: dict[str, float] = {}
    """Column -> largest increase of the mean loss against the champion in the rows of any of its values."""
    approval: Literal["automatic", "manual"] = "automatic"
    """Manual: what passed waits in Prefect's UI for a person before it follows a champion."""
    max_served_difference: float = 1e-5
    """Largest difference of a probability between the served and the trained form; of a number, as a share of the
    largest value."""
    max_latency_ms: float = 50.0
    """Median time of a row through the served form."""


class Rollout(Spec):
    """How a challenger is shown to live requests before it is champion."""

    shadow: bool = False
    """It answers what the champion has answered, in the background; logged beside the prediction, never returned."""
    canary: float = Field(0.0, ge=0, lt=1)
    """Share of requests, by a hash of the prediction id, that a challenger answers once it has passed the gate; it
    follows the champion after `canary_for`. 0: at once."""
    canary_for: timedelta = timedelta(days=1)
    """On the project's clock."""
    max_error_rate: float = Field(0.1, gt=0, le=1)
    """A canary is withdrawn, and a new champion goes back to the previous one, when the model fails more of its
    requests ..."""
    max_latency_ms: float | None = None
    """... when 99 of 100 of them do not stay within this (not judged when left out) ..."""
    min_requests: int = Field(100, ge=1)
    """... of at least so many in five minutes; ..."""
    max_loss_increase: float | None = None
    """... or when its loss (log-loss, mse) is larger by more than this than the other version's on the same requests
    (not judged when left out) ..."""
    min_labelled: int = Field(1000, ge=2)
    """... of which at least so many have their label."""
    rollback_within: timedelta = timedelta(days=7)
    """How long a champion counts as new; what breaks later is not its fault."""


class Monitoring(Spec):
    """What the monitoring flow compares, and the drift policy."""

    window: timedelta = timedelta(days=14)
    """Length of the current window that a report covers."""
    every: timedelta = timedelta(days=7)
    """A replay makes a report each time so much has been played."""
    method: Literal["psi", "ks", "wasserstein", "jensenshannon"] = "psi"
    """How a column of the window is compared with the reference."""
    threshold: float = 0.2
    """A column drifts above this value of the method; with `ks`, a p-value, below it."""
    max_drift_share: float = 0.3
    """A notice is given at this share of drifted columns."""
    max_missing_rise: float = 0.2
    """A notice is given when a column misses this share of its values more than in the reference."""
    min_rows: int = 1000
    """Of fewer rows, or of a table without time, any column gives notice that drifts; of fewer rows, by a test of
    significance (5 % of reports at most give false notice). Fewer than 50 decide nothing."""
    max_coverage_gap: float = Field(0.1, gt=0, lt=1)
    """A notice is given when the share of a window's outcomes inside their intervals is further from `interval`; the
    intervals themselves follow the newest outcomes."""
    max_bias: float | None = None
    """Retrain when |mean answer - mean outcome| over `bias_window` exceeds this: a probability, or the outcome's unit;
    null never does ..."""
    max_loss: float | None = None
    """... or when the mean loss (log-loss, squared error) of the same rows does (an estimate gives notice) ..."""
    bias_window: timedelta = timedelta(days=28)
    """... over the last so long ..."""
    min_labelled: int = 1000
    """... with at least this many labelled rows since the champion's cut-off."""
    max_age: timedelta = timedelta(days=60)
    """Retrain, by plan, when the champion's training cut-off is older than this ..."""
    min_growth: float = Field(0, ge=0)
    """... and the time since then is at least this share of the span of its training data: 0.1 lets a champion of 20
    months wait for two more, as it has little to learn from a few weeks."""
    breaches: int = Field(1, ge=1)
    """An alarm counts (drift, predictions, coverage, bias, loss) when so many windows break its limit ..."""
    windows: int = Field(1, ge=1)
    """... of the last so many reports, the newest among them."""
    cool_down: timedelta = timedelta(days=14)
    """After a retraining was asked for, so long no other is: what would ask gives notice."""
    max_silence: timedelta = Field(timedelta(days=7), gt=timedelta(0))
    """An alarm is given when no row of a table has come for so long, and each time as much has passed again; not of a
    snapshot table, which may stay as it is."""

    @model_validator(mode="after")
    def _breaches_fit(self) -> Self:
        if self.breaches > self.windows:
            raise ValueError(f"breaches: {self.breaches} of {self.windows} windows can never be")
        return self
