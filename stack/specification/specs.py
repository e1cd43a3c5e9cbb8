"""The specifications of the projects of the workspace, ``projects/<name>/project.yaml``, as typed objects."""

from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError

from stack.core.errors import StackError, nearest
from stack.core.notices import Reporter
from stack.core.settings import settings
from stack.specification import forecasts, sections, table, tasks, yaml_errors
from stack.specification.calibration import Points
from stack.specification.costs import Costs
from stack.specification.request import RequestField
from stack.specification.schedules import Schedules
from stack.specification.sections import Spec, key_of
from stack.specification.sinks import Sinks
from stack.specification.sources import Source
from stack.specification.table import Column

TaskName = Annotated[str, key_of(tasks.KINDS)]

Stamp = tuple[int, int]
"""Time and size of a project.yaml."""
YAML = "*/project.yaml"
NAME = "[a-z][a-z0-9_]*"
"""Pattern of the names of projects."""


class ProjectSpec(Spec):
    """A project: everything that is not code."""

    name: str = Field(pattern=f"^{NAME}$")
    """The folder's name."""
    title: str
    """The question that is answered."""
    task: TaskName = "binary"
    """Whether it happens, which class it is, how much, or the next values of a series."""
    forecast: forecasts.Forecast | None = None
    """Of a forecast: its steps."""
    imported: bool = False
    """Whether versions of the model come by `make import`, and none is trained."""
    label: str
    """Column with the outcome."""
    classes: list[bool | int | str] = []
    """The outcomes as the source names them: of two the second is the positive outcome; 0 and 1 when left out."""
    threshold: float = Field(0.5, gt=0, lt=1)
    """Binary: the decision is positive from this probability on; `costs` choose it instead."""
    costs: Costs | None = None
    """Binary: what wrong decisions cost; the threshold of each model follows."""
    interval: float | None = Field(None, gt=0, lt=1)
    """Answers have the ends, `low` and `high`, of an interval that holds this share of the outcomes, or of several
    `classes` a set of them; none when left out."""
    package: str = ""
    """PyPI package that carries the data of an example; where it is absent, so is the project."""
    clock: sections.Clock = sections.Clock()
    source: Source | None = None
    """Where the rows come from; ``source.py`` says so when left out."""
    columns: dict[Annotated[str, Field(pattern=table.IDENTIFIER)], Column] = {}
    """Of the only table: `tables`, `request` and `features.columns` follow from them where they are left out."""
    tables: dict[str, sections.Table] = Field({}, validate_default=True, min_length=1)
    request: dict[str, RequestField] = Field({}, validate_default=True)
    features: sections.Features = Field(None, validate_default=True)
    training: sections.Training = Field(None, validate_default=True)
    gate: sections.Gate = sections.Gate()
    rollout: sections.Rollout = sections.Rollout()
    monitoring: sections.Monitoring = sections.Monitoring()
    schedules: Schedules = Schedules()
    publish: Sinks = []
    """Where answers go, beside the caller: a list of sinks, each with its `kind`."""

    _calibration: Points = ()

    @field_validator("tables", "request", "features", "training", mode="before")
    @classmethod
    def _from_columns(cls, section: Any, info: ValidationInfo) -> Any:
        """Make what is left out of the columns."""
        known = info.data.get("columns")
        if known is None:  # they are wrong, as an error of theirs says
            raise PydanticCustomError(yaml_errors.FOLLOWS, "columns that are right")
        if not known:
            return {} if section is None else section
        label, source = info.data.get("label", ""), info.data.get("source")
        if info.field_name == "tables":
            return section or table.tables(known, source)
        if info.field_name == "request":
            return section or table.request(known, label)
        if section is not None and not isinstance(section, dict):
            return section
        if info.field_name == "training":
            return {"group": group} | (section or {}) if (group := table.group(known)) else section or {}
        if forecast := info.data.get("forecast"):
            return forecasts.features(known, info.data.get("name", ""), label, forecast) | (section or {})
        return table.features(known, info.data.get("name", ""), label, section or {})

    @model_validator(mode="after")
    def _sections_agree(self) -> Self:
        if self.columns:
            for problem in table.problems(self.columns, self.label, self.source, self.features.parsed):
                raise ValueError(problem)
        for problem in (*forecasts.problems(self), *tasks.KINDS[self.task].problems(self)):
            raise ValueError(problem)
        kind, count = tasks.KINDS[self.task], len(self.classes)
        if count not in kind.class_counts or len(set(self.classes)) < count:
            raise ValueError(f"classes: {count} found, a {self.task} task has {kind.class_rule}, each once")
        if self.schedules.crons and self.clock.kind == "replay":
            raise ValueError("schedules: a replayed clock has none, as `make replay` moves it")
        for name, columns in self.training.feature_sets.items():
            strange = next((column for column in columns if column not in self.features.columns), None)
            if strange or not columns or name == "all":
                what = f"no feature column{nearest(strange, self.features.columns)}" if strange else "columns"
                raise ValueError(f"training.feature_sets.{name}: {strange or columns!r}: {what}; all is always there")
        return self

    @model_validator(mode="after")
    def _directions_can_be_kept(self) -> Self:
        numbers, directed = self.column_types("number"), self.features.monotonic
        if directed and not tasks.KINDS[self.task].has_mean:
            raise ValueError(
                f"features.monotonic: {', '.join(directed)}: the classes of a {self.task} task have no order"
            )
        if strange := next((name for name in directed if name not in numbers), None):
            raise ValueError(f"features.monotonic.{strange}: no number of the features{nearest(strange, numbers)}")
        return self

    @model_validator(mode="after")
    def _costs_choose_the_threshold(self) -> Self:
        if self.costs and "threshold" in self.model_fields_set:
            raise ValueError("threshold: left out, as costs choose it")
        if self.gate.metric == "cost" and not self.costs:
            raise ValueError("gate.metric: with a section costs alone")
        return self

    def with_calibration(self, points: Points) -> Self:
        """Return the specification with the calibration of a model; without points its answers stay as they are."""
        calibrated = self.model_copy()
        calibrated._calibration = points
        return calibrated

    @property
    def calibration(self) -> Points:
        """The calibration of a model's answers."""
        return self._calibration

    @property
    def calibrates(self) -> bool:
        """Whether the search compares calibrations of the answers."""
        return self.training.calibrate is not False and self.task == tasks.Binary.name

    def with_threshold(self, threshold: float | None) -> Self:
        """Return the specification with the threshold of a model, by which its decisions have a cost."""
        return self if threshold is None else self.model_copy(update={"threshold": threshold})

    def require_training(self) -> None:
        """Raise a StackError where the project's model is trained elsewhere."""
        if self.imported:
            raise StackError(
                self.place("imported"),
                found="true: its model was trained elsewhere",
                expected="a project that trains its models",
                todo=f"make import NAME={self.name} MODEL=<a newer one>; or remove the key, and push rows to train on",
            )

    def cost(self, label: Any, probability: Any) -> Any:
        """Return the cost of each row's decision, (n,); None without costs, or without a model's threshold."""
        known = self.costs and "threshold" in self.model_fields_set
        return self.costs.of(label, probability, self.threshold) if self.costs and known else None

    @property
    def folder(self) -> Path:
        """The project's folder in the workspace."""
        return settings().projects / self.name

    def place(self, key: str) -> str:
        """Return the place of a key of its project.yaml, for an error."""
        return f"{self.folder / 'project.yaml'}, key {key}"

    def has(self, module: str) -> bool:
        """Return whether the project has a Python file of its own, as ``features`` or ``source``."""
        return (self.folder / f"{module}.py").is_file()

    def column_types(self, *kinds: sections.Kind) -> list[str]:
        """Return the feature columns of each kind in turn, in the model's order."""
        return [column for kind in kinds for column, own in self.features.columns.items() if own == kind]


def names() -> list[str]:
    """Return the names of the projects, sorted; an example counts when its data is installed."""
    return [name for name, package in _packages().items() if not package or find_spec(package)]


def stamps() -> dict[str, Stamp]:
    """Return the stamp of each project.yaml, which says whether it has changed."""
    found = {}
    for name in names():
        with suppress(FileNotFoundError):  # removed since it was listed
            state = (settings().projects / name / "project.yaml").stat()
            found[name] = state.st_mtime_ns, state.st_size
    return found


def examples() -> list[str]:
    """Return the names of the examples whose data is not installed."""
    return [name for name, package in _packages().items() if package and not find_spec(package)]


def package(path: Path) -> str:
    """Return the key `package` of a project.yaml, whatever else is wrong with the file."""
    state = path.stat()
    return _package(path, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=256)
def _package(path: Path, *_state: int) -> str:
    """Read the key once for each state of the file, as it is needed often."""
    with suppress(StackError):
        raw = yaml_errors.read(path)
        return str(raw.get("package") or "") if isinstance(raw, dict) else ""
    return ""


def _packages() -> dict[str, str]:
    projects = settings().projects
    if not projects.is_dir():  # a disk that is not mounted must not look like projects that are gone
        raise StackError(
            f"STACK_WORKSPACE, {projects.parent}",
            found="no folder projects in it",
            expected="a workspace",
            todo="correct the key in .env, or make one: make workspace DIR=<folder>",
        )
    return {path.parent.name: package(path) for path in sorted(projects.glob(YAML))}


def load_valid(on_error: Reporter) -> Iterator[ProjectSpec]:
    """Yield the valid specifications; report why each other project is left out."""
    for name in names():
        try:
            spec = load(name)
        except StackError as error:
            on_error(f"left out: {error}")
        else:
            yield spec


def load(name: str) -> ProjectSpec:
    """Read and check ``projects/<name>/project.yaml``. StackError: no such project, or a key is wrong."""
    path = settings().projects / name / "project.yaml"
    if path.is_file() and (needed := package(path)) and not find_spec(needed):
        raise StackError(
            f"projects/{name}",
            found="an example whose data is not installed",
            expected=f"the data package {needed}",
            todo=f"run `make example NAME={name}`, which installs it and runs the project",
        )
    if not path.is_file():
        raise StackError(
            f"projects/{name}",
            found=f"no project of this name{nearest(name, names())}",
            expected=f"one of {', '.join(names())}",
            todo="name an existing project",
        )
    return read(path)


def read(path: Path) -> ProjectSpec:
    """Read and check a project.yaml, be its data installed or not. StackError names the file and the wrong key."""
    state = path.stat()
    return _read(path, state.st_ino, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=256)
def _read(path: Path, *_state: int) -> ProjectSpec:
    return parse(yaml_errors.read(path), path)


def parse(raw: Any, path: Path) -> ProjectSpec:
    """Check the parsed YAML of `path` against the specification. StackError names the file and the wrong key."""
    try:
        spec = ProjectSpec.model_validate(raw)
    except ValidationError as error:
        raise next(iter(yaml_errors.explain(ProjectSpec, error, path).values())) from None
    if spec.name != path.parent.name:
        todo = "name the project as its folder"
        raise StackError(f"{path}, key name", found=spec.name, expected=path.parent.name, todo=todo)
    return spec
