"""A file to score: what is wrong with it is named before anything is asked."""

from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest

from stack.core.errors import StackError
from stack.core.settings import Settings
from stack.project import Project
from stack.serving import scoring
from stack.specification import specs
from stack.specification.request import RequestField
from stack.specification.table import Column

NOW = datetime(2013, 3, 1, tzinfo=UTC)
ROW = {
    "carrier": "UA",
    "origin": "EWR",
    "dest": "ORD",
    "sched_dep": "2013-03-01T08:00:00-05:00",
    "sched_arr": "2013-03-01T09:37:00-06:00",
}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sched_dep": "2013-03-01T08:00:00"}, "without a zone"),
        ({"asked_at": "2013-03-01 06:00"}, "without a zone"),
        ({"sched_arr": None}, "without a zone"),
    ],
)
def test_instants_without_a_zone_are_refused(tmp_path: Path, change: dict[str, str], message: str) -> None:
    file = tmp_path / "in.csv"
    pd.DataFrame([ROW, ROW | change]).to_csv(file, index=False)
    with pytest.raises(StackError, match=message) as caught:
        scoring.file(Project(Settings(home=tmp_path), specs.load("flights")), file, tmp_path / "out.csv", NOW, print)
    assert str(file) in str(caught.value)
    assert next(iter(change)) in str(caught.value)


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    file = tmp_path / "in.parquet"
    pd.DataFrame([ROW]).rename(columns={"dest": "destt"}).to_parquet(file)
    with pytest.raises(StackError, match="column dest:") as caught:
        scoring.file(Project(Settings(home=tmp_path), specs.load("flights")), file, tmp_path / "out.csv", NOW, print)
    assert "did you mean 'destt'" in str(caught.value)


def test_a_column_with_its_name_in_the_source_is_to_be_renamed(tmp_path: Path) -> None:
    age = RequestField(type="number", description="Age", example=22)
    change = {"request": {"age": age}, "columns": {"age": Column(source="Age (years)")}}
    spec = specs.load("flights").model_copy(update=change)
    (tmp_path / "in.csv").write_text("Age (years)\n22\n")
    with pytest.raises(StackError, match=r"rename 'Age \(years\)' to age"):
        scoring.file(Project(Settings(home=tmp_path), spec), tmp_path / "in.csv", tmp_path / "out.csv", NOW, print)


def test_a_file_of_another_encoding_is_to_be_saved_anew(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_bytes("größe\n22\n".encode("latin-1"))
    with pytest.raises(StackError, match=r"(?s)codec can't decode.*CSV in UTF-8.*save the file anew"):
        scoring.file(Project.open("flights"), tmp_path / "in.csv", tmp_path / "out.csv", NOW, print)


def test_a_value_of_another_type_is_named(tmp_path: Path) -> None:
    age = RequestField(type="number", description="Age", example=22)
    spec = specs.load("flights").model_copy(update={"request": {"age": age}})
    (tmp_path / "in.csv").write_text("name,age\nBraund,22\nCumings,old\n")
    with pytest.raises(StackError, match="could not convert string to float: 'old'"):
        scoring.file(Project(Settings(home=tmp_path), spec), tmp_path / "in.csv", tmp_path / "out.csv", NOW, print)
    assert not (tmp_path / "out.csv").exists()
