"""Which version could run: that of the checkout, and the newest of the repository it comes from."""

import subprocess

import pytest

from stack.core import version
from stack.core.errors import StackError
from stack.ops import releases


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A clone of a repository with releases, where 1.9.0 runs."""
    origin, clone = tmp_path / "origin", tmp_path / "clone"
    git = ["git", "-c", "user.name=x", "-c", "user.email=x@localhost", "-C", str(origin)]
    subprocess.run(["git", "init", "--quiet", str(origin)], check=True)
    subprocess.run([*git, "commit", "--quiet", "--allow-empty", "--message", "First"], check=True)
    for tag in ("v1.9.0", "v1.2.10", "before-1.99.0", "v2.0.0-rc1"):
        subprocess.run([*git, "tag", tag], check=True)
    subprocess.run(["git", "clone", "--quiet", str(origin), str(clone)], check=True)
    monkeypatch.setattr(releases, "ROOT", clone)
    monkeypatch.setattr(releases, "version", lambda: "1.9.0")
    return git, clone


def test_the_newest_release_is_named_when_there_is_one(checkout):
    git, _ = checkout
    assert releases.newest() == ""
    subprocess.run([*git, "tag", "v1.10.0"], check=True)
    assert releases.newest() == "1.10.0"


def test_a_repository_that_does_not_answer_is_an_error_with_a_way_out(checkout):
    _, clone = checkout
    subprocess.run(["git", "-C", str(clone), "remote", "set-url", "origin", "/nowhere"], check=True)
    with pytest.raises(StackError, match="git fetch --tags"):
        releases.newest()


@pytest.mark.parametrize(("stated", "expected"), [("1.9.0", ""), ("1.8.9", ""), ("1.10.0", "1.10.0")])
def test_a_newer_checkout_is_named(monkeypatch, stated, expected):
    monkeypatch.setattr(releases, "version", lambda: "1.9.0")
    monkeypatch.setattr(releases, "stated", lambda: stated)
    assert releases.checked_out() == expected


def test_what_runs_is_what_was_stated_at_the_start(monkeypatch):
    before = version.version()
    monkeypatch.setattr(version, "stated", lambda: "99.0.0")
    assert version.version() == before
