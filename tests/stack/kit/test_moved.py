"""Projects of the former release import their helpers by the former names, and are warned with the new names."""

import importlib
import sys

import pytest

import stack


@pytest.mark.parametrize(("former", "now"), stack.MOVED.items())
def test_former_name_gives_the_module_and_a_warning(former, now, monkeypatch):
    monkeypatch.delitem(sys.modules, former, raising=False)
    with pytest.warns(FutureWarning, match=f"{former} has moved: import {now}"):
        module = importlib.import_module(former)
    assert module is importlib.import_module(now)
    assert module.__name__ == now


def test_from_import_of_a_former_name_works(monkeypatch):
    monkeypatch.delitem(sys.modules, "stack.rolling", raising=False)
    monkeypatch.delattr(stack, "rolling", raising=False)
    with pytest.warns(FutureWarning):
        from stack import rolling
    assert rolling.means
