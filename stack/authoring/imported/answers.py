"""What an imported model answers: tried on one row and on many, and what its numbers mean."""

import timeit
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version as installed
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Literal

import numpy as np
from pandas import DataFrame

from stack.authoring.imported.columns import Column, Wishes
from stack.authoring.imported.graph import Graph
from stack.core.errors import StackError
from stack.serving import served
from stack.serving.reasons import Features
from stack.serving.served import Contract, Predict
from stack.specification import tasks

MANY = 1000
EXTREMES = (0.0, 1.0, -1.0, 10.0, -10.0, 1000.0, -1000.0)
"""Values of all numbers of a row, at which logits are no probabilities."""
ALIKE = 1e-4
"""Difference of an answer alone and among others, as a share of the largest: float32 rounds by the size of a batch."""
Link = Literal["", "sigmoid", "softmax"]


@dataclass(frozen=True)
class Meaning:
    """What the numbers of an answer are."""

    task: str
    classes: tuple[int | str, ...]
    """In order; none for 0 and 1, or a number."""
    link: Link
    """What makes probabilities of them."""
    note: str
    """The same in words, with how long an answer takes."""


RAW = Meaning(tasks.Regression.name, (), "", "")
"""Numbers as they are."""


def contract(
    columns: Sequence[Column],
    graph: Graph,
    meaning: Meaning = RAW,
    label: str = "",
    threshold: float = 0.5,
    outputs: Sequence[str] = (),
) -> Contract:
    """Return what goes into the served form, and comes out of it."""
    inputs: dict[str, list[str]] = {}
    for column in columns:
        inputs.setdefault(column.input.name, []).append(column.name)
    kinds = {column.name: column.kind for column in columns}
    return Contract(
        "onnx",
        kinds,
        label,
        threshold,
        meaning.task,
        tuple(outputs),
        inputs=inputs,
        output=graph.output.name,
        link=meaning.link,
    )


def tried(graph: Graph, columns: Sequence[Column], rows: DataFrame, wishes: Wishes, place: str) -> Meaning:
    """Return what a model's answers mean, once it has answered a row, many rows and extreme ones.

    Raises:
        StackError: it cannot be loaded, or an answer depends on the other rows, or what it means is not clear.
    """
    with TemporaryDirectory() as folder:
        path = Path(folder, "model.onnx")
        path.write_bytes(graph.content)
        try:
            predict = served.load_onnx(path, contract(columns, graph))
            answer = _answers(predict, columns, rows.head(MANY))
            took = _timed(predict, columns, rows, answer, place)
            extreme = _answers(predict, columns, _extremes(columns, rows))
        except StackError:
            raise
        except Exception as error:  # ONNX Runtime raises classes of its own, which share no base
            raise StackError(
                f"MODEL={place}",
                found=" ".join(str(error).split())[:500],
                expected=f"a model that ONNX Runtime {installed('onnxruntime')} runs on {len(columns)} columns",
                todo="export it for this release, or say what its inputs take: EXAMPLE=row.json",
            ) from None
    return _meaning(graph, answer, np.concatenate([answer, extreme]), wishes, took)


def _answers(predict: Predict, columns: Sequence[Column], rows: DataFrame) -> np.ndarray:
    numbers = [column.name for column in columns if column.kind == "number"]
    texts = [column.name for column in columns if column.kind == "category"]
    values = {name: rows[name] for name in (*numbers, *texts)}
    packed = served.numbers(values, numbers, len(rows), np.float64)
    return predict(Features(packed, served.categories(values, texts, len(rows))))


def _extremes(columns: Sequence[Column], rows: DataFrame) -> DataFrame:
    row = rows.iloc[[0] * len(EXTREMES)].reset_index(drop=True)
    return row.assign(**{column.name: EXTREMES for column in columns if column.input.type in ("float", "double")})


def _timed(predict: Predict, columns: Sequence[Column], rows: DataFrame, answer: np.ndarray, place: str) -> str:
    """Check that a row is answered alone as among others; return how long it takes."""
    alone, many = rows.iloc[[0]], rows.iloc[np.arange(MANY) % len(rows)]
    single, together = (_answers(predict, columns, part) for part in (alone, many))
    limit = ALIKE * max(1.0, float(np.abs(together).max(initial=0)))
    if single.shape != (1, answer.shape[1]) or len(together) != MANY or np.abs(single - together[:1]).max() > limit:
        raise StackError(
            f"MODEL={place}",
            found=f"{len(single)} answers to 1 row, {len(together)} to {MANY}, or other ones alone than together",
            expected="an answer to each row, whatever rows come with it",
            todo="export it for inference, with a free first axis",
        )
    if not np.isfinite(answer).any():
        expected, todo = "finite numbers", "give values that the model knows: EXAMPLE=row.json"
        raise StackError(f"MODEL={place}", found="answers that are no numbers", expected=expected, todo=todo)
    one, all_of_them = (1000 * _seconds(predict, columns, part) for part in (alone, many))
    return f"1 row in {one:.2g} ms, {MANY:,} in {all_of_them:.2g} ms"


def _seconds(predict: Predict, columns: Sequence[Column], rows: DataFrame) -> float:
    return median(timeit.repeat(lambda: _answers(predict, columns, rows), number=1, repeat=5))


def _meaning(graph: Graph, answer: np.ndarray, probes: np.ndarray, wishes: Wishes, took: str) -> Meaning:
    width = answer.shape[1]
    classifies = bool(graph.label) or width > 1 or graph.ends_with in ("Sigmoid", "Softmax")
    task = wishes.task or (tasks.suited(max(width, 2)) if classifies else tasks.Regression.name)
    fits = {"binary": width in (1, 2), "multiclass": width > 2, "regression": width == 1}
    if not fits.get(task):
        expected = f"{'1 or 2' if task == 'binary' else '3 or more' if task == 'multiclass' else '1'} for {task}"
        if task not in fits:
            expected = f"TASK={', '.join(fits)}"
        raise StackError(f"output {graph.output.name}", found=f"{width} numbers a row", expected=expected, todo="TASK=")
    if task == tasks.Regression.name:
        return Meaning(task, (), "", f"output {graph.output.name} is a number; {took}")
    classes = _classes(graph, wishes, 2 if task == "binary" else width)
    link = _link(probes)
    what = f"logits, of which the {link} is taken" if link else "probabilities"
    named = f"; {classes[-1] if classes else 1} is the positive outcome" if task == "binary" else ""
    return Meaning(task, classes, link, f"output {graph.output.name} holds {what}{named}; {took}")


def _classes(graph: Graph, wishes: Wishes, count: int) -> tuple[int | str, ...]:
    """Return the classes as the user or the file names them; their numbers where neither does."""
    given = [name.strip() for name in wishes.classes.split(",") if name.strip()]
    written = tuple(int(name) if name.isdigit() else name for name in given)
    classes = written or graph.classes or tuple(range(count))
    if len(set(classes)) != count:
        found = f"{len(classes)} classes: {', '.join(map(str, classes))}"
        todo = "name them in the order of the output: CLASSES=a,b,c"
        raise StackError(f"output {graph.output.name}", found=found, expected=f"{count}, each once", todo=todo)
    return () if classes == (0, 1) else classes


def _link(probes: np.ndarray) -> Link:
    """Return what makes probabilities of the output: nothing, where they are some on all rows."""
    known = probes[np.isfinite(probes).all(axis=1)]
    inside = bool(((known >= -1e-6) & (known <= 1 + 1e-6)).all())
    if known.shape[1] == 1:
        return "" if inside else "sigmoid"
    return "" if inside and bool((np.abs(known.sum(axis=1) - 1) < 1e-3).all()) else "softmax"
