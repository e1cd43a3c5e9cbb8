"""Trainings and sweeps in a process of their own, which has the packages that the project brings along.

``python -m stack.promotion.apart FOLDER`` does what ``task.json`` says with ``rows.parquet``, writes what comes of it
into ``result.json``, and prints a line about each step.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pandas as pd

from stack.core.errors import StackError
from stack.core.notices import Reporter
from stack.core.workers import Workers
from stack.project import Project

if TYPE_CHECKING:
    from stack.training.training import TrainingSet

TASK, ROWS, RESULT = "task.json", "rows.parquet", "result.json"


def run(
    work: str, project: Project, data: TrainingSet, packages: Path, report: Reporter, **given: Any
) -> dict[str, Any]:
    """Do work of `WORK` in a process that has more packages; return its result.

    Args:
        work: name of the work.
        packages: the folder with the packages.
        report: called with each line about it.
        given: further parameters of the work.

    Raises:
        StackError: as the work raises it, or the process ends otherwise.
    """
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        data.rows.to_parquet(folder / ROWS, index=False)
        task = {"work": work, "project": project.name, "cutoff": data.cutoff.isoformat(), "given": given}
        task |= {"data_revision": data.data_revision, "code_version": data.code_version}
        (folder / TASK).write_text(json.dumps(task))
        path = os.pathsep.join(filter(None, [str(packages), *sys.path]))
        environ = {**os.environ, **project.settings.environment(), "PYTHONPATH": path}
        command = [sys.executable, "-m", "stack.promotion.apart", str(folder)]
        lines = _lines(command, environ, report)
        result = json.loads((folder / RESULT).read_text()) if (folder / RESULT).exists() else {}
    if error := result.get("error"):
        raise StackError(error.pop("where"), **error)
    if "result" not in result:
        found = " | ".join(lines[-4:]) or "no output"
        where = f"{work} of {project.name} with packages of its own"
        raise StackError(where, found=found, expected="a process that ends well", todo="read its last lines")
    return dict(result["result"])


def _lines(command: list[str], environ: Mapping[str, str], report: Reporter) -> list[str]:
    """Run a command and report its output line by line; return the lines."""
    lines = []
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            for line in process.stdout or ():
                lines.append(line.rstrip())
                report(lines[-1])
        except BaseException:
            process.kill()
            raise
    return lines


def _train(project: Project, data: TrainingSet, workers: Any) -> dict[str, Any]:
    from stack.promotion import challengers

    return {"version": challengers.train(project, data, _say, workers).version}


def _sweep(project: Project, data: TrainingSet, workers: Any, trials: int) -> dict[str, Any]:
    from stack.training import sweep

    result = sweep.sweep(project, data, trials=trials, workers=workers, report=_say)
    return {"best": result.best, "page": result.page.name}


WORK: dict[str, Callable[..., dict[str, Any]]] = {"train": _train, "sweep": _sweep}


def main(folder: Path) -> int:
    """Do the work of a folder; return the exit code."""
    from stack.training.training import TrainingSet

    task, result = json.loads((folder / TASK).read_text()), folder / RESULT
    rows, cutoff = pd.read_parquet(folder / ROWS), datetime.fromisoformat(task["cutoff"])
    data = TrainingSet(rows, cutoff, task["data_revision"], task["code_version"])
    try:
        with ThreadPoolExecutor(os.cpu_count()) as executor:
            done = WORK[task["work"]](Project.open(task["project"]), data, Workers(executor), **task["given"])
    except StackError as error:
        result.write_text(json.dumps({"error": vars(error)}))
        return 1
    result.write_text(json.dumps({"result": done}))
    return 0


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
