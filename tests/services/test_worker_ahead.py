"""What runs import is compiled before them, once after an installation and where files can be written."""

import py_compile

from services.worker import ahead


def test_bytecode_that_is_there_is_not_written_again(tmp_path):
    source = tmp_path / "module.py"
    source.touch()
    assert ahead.needed(source)

    py_compile.compile(str(source))
    assert not ahead.needed(source)


def test_where_nothing_can_be_written_nothing_is_started(tmp_path, monkeypatch):
    monkeypatch.setattr(ahead.os, "access", lambda *_: False)
    assert not ahead.needed(tmp_path / "module.py")
