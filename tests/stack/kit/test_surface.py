"""What project authors may import is this and nothing else: a change here is a change for every project."""

from importlib import import_module
from pathlib import Path

from stack import kit

SURFACE = {
    "drift": ["Action", "Reason", "Sample", "Verdict", "Window"],
    "expectations": ["absent", "among", "between", "present"],
    "instants": ["in_utc", "time_of_day"],
    "models": ["Candidate", "Columns", "Metric", "Suggest"],
    "numbers": ["without_unit"],
    "packaged": ["file"],
    "parquet": ["split", "window"],
    "rolling": ["means"],
    "rowwise": ["each", "first", "is_missing", "local"],
    "text": ["counts", "telling", "tfidf"],
}


def test_the_kit_has_these_modules_with_these_names():
    assert kit.__all__ == sorted(SURFACE)
    assert {path.stem for path in Path(kit.__path__[0]).glob("*.py")} == {*SURFACE, "__init__"}
    assert {name: import_module(f"stack.kit.{name}").__all__ for name in SURFACE} == SURFACE


def test_every_other_name_of_a_module_is_private_or_imported():
    for name, public in SURFACE.items():
        module = import_module(f"stack.kit.{name}")
        own = {key for key, value in vars(module).items() if getattr(value, "__module__", "") == module.__name__}
        assert {key for key in own if not key.startswith("_")} <= set(public)
