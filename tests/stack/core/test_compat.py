"""What the stack reaches into its tools for is still as it was: a failure here names what has changed."""

import subprocess
import sys
from importlib.metadata import version

import pytest

CHECKED = "from feast.field import Field; print('typeguard' in Field.__init__.__code__.co_names)"
ALONE = """
import sys, types
from importlib.util import find_spec
folder = find_spec("feast").submodule_search_locations
sys.modules["feast"] = types.ModuleType("feast")
sys.modules["feast"].__path__ = folder
"""
"""Lets a module of Feast be imported without the others, whose checks take five seconds."""


@pytest.mark.parametrize(
    ("before", "checked"),
    [(ALONE, "True"), ("import stack.features, feast; ", "False")],
    ids=["as it is", "stack.features"],
)
def test_feast_is_imported_without_its_checks_of_types(before: str, checked: str) -> None:
    found = subprocess.run([sys.executable, "-c", before + CHECKED], check=True, capture_output=True, text=True)
    changed = f"feast {version('feast')} or typeguard {version('typeguard')} has changed, see stack/core/_compat.py"
    assert found.stdout.strip() == checked, changed


@pytest.mark.parametrize("service", ["features", "feast_ui"])
def test_a_service_that_imports_feast_leaves_its_checks_out_too(service: str) -> None:
    code = f"import services.{service}.app, feast; {CHECKED}"
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert found.stdout.strip() == "False"
