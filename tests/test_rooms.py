"""Every room of the code is named in the layers contract of import-linter, so that none escapes it."""

import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SPLIT = ("stack", "services")
"""Folders of which each member is a room of its own."""
WHOLE = ("flows", "monitoring", "feature_repo", "projects")


def rooms() -> set[str]:
    rooms = set(WHOLE)
    for folder in SPLIT:
        rooms |= {f"{folder}.{path.parent.name}" for path in (ROOT / folder).glob("*/*.py")}
        rooms |= {f"{folder}.{path.stem}" for path in (ROOT / folder).glob("*.py") if path.stem != "__init__"}
    return rooms


def test_layers_name_every_room_once():
    with (ROOT / "pyproject.toml").open("rb") as file:
        contracts = tomllib.load(file)["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    named = [room.strip() for layer in layers for room in layer.split("|")]
    assert sorted(named) == sorted(rooms())
