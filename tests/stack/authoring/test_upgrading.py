"""The page of reaches is read off docstrings."""

from pathlib import Path

import pytest

from stack.authoring import upgrading
from stack.core.errors import StackError

WHOLE = '''
def lock():
    """Wait for the ``lock``.

    Tool: DVC
    Reach: dvc.lock.Lock
    Why: there is no other way,
    in two lines.
    Upstream: none known

    Args:
        none: at all.
    """


def helper():
    """Need nothing."""
'''


def compat(root: Path, text: str) -> Path:
    (root / "stack" / "lake").mkdir(parents=True)
    (root / "stack" / "lake" / "_compat.py").write_text(text)
    return root


def test_a_reach_is_read_whole(tmp_path):
    (reach,) = upgrading.reaches(compat(tmp_path, WHOLE))

    assert (reach.tool, reach.name, reach.function) == ("DVC", "dvc.lock.Lock", "lock")
    assert (reach.why, reach.upstream) == ("there is no other way, in two lines.", "none known")
    assert "## DVC\n\n- `dvc.lock.Lock`: Wait for the `lock`.\n" in upgrading.markdown(tmp_path)


def test_a_missing_line_is_named(tmp_path):
    root = compat(tmp_path, WHOLE.replace("    Upstream: none known\n", ""))

    with pytest.raises(StackError, match=r"stack/lake/_compat.py, lock:\n  found     no line Upstream:"):
        list(upgrading.reaches(root))
