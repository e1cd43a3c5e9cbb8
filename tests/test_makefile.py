"""The values of make's variables reach commands as they are: neither make nor a shell runs what stands in them."""

import os
import re
import shutil
import subprocess

import pytest

from stack.core.settings import ROOT
from tests.polling import PATIENCE_SECONDS

# Stands for every program of .venv/bin and keeps its words, and the secret of its environment.
RECORDER = r"""#!/bin/sh
{{ printf '%s\0' "$@"; printf '%s\0<end>\0' "$JOIN_KEY"; }} >>{log}
"""
PROGRAMS = ("stack", "python", "ruff", "mypy", "lint-imports", "uv")
# For make, for the shell, and for the parser of options.
HOSTILE = (
    "data`touch pwned`.csv",
    "$(touch pwned)",
    "$(shell touch pwned)",
    "${shell touch pwned}",
    "$$(touch pwned)",
    "$(eval export SHELL=touch pwned)",
    '"; touch pwned; "',
    "'; touch pwned; '",
    "; touch pwned #",
    "a && touch pwned",
    "line\n\ttouch pwned\n",
    "back\\slash\\",
    "--help",
    "-x",
    "#no comment",
    "100 % of $HOME, ${HOME} and $$ * ? ~ ! é\u00a0ü",
    "ends with spaces  ",
    "$(or a,b) = :=",
)
HELP = re.findall(r"^([a-z-]+):.*?## (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
VARIABLES = {
    target: re.findall(r"\b[A-Z][A-Z_]+\b", text[text.rfind("(") :] if text.endswith(")") else "")
    for target, text in HELP
}
SWITCHES = set(re.findall(r"\b([A-Z_]+)=1\b", " ".join(text for _, text in HELP)))
SECRET = "KEY"
"""Not on the command line of a program, but in its environment."""


@pytest.fixture
def make(tmp_path):
    """Return a function that makes a target in a folder with recording programs, and returns what they recorded."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    log, programs = tmp_path / "recorded", tmp_path / ".venv" / "bin"
    programs.mkdir(parents=True)
    for name in PROGRAMS:
        (programs / name).write_text(RECORDER.format(log=log))
        (programs / name).chmod(0o755)

    def run(target, values, environment=()):
        log.unlink(missing_ok=True)
        words = ["make", "--no-print-directory", "PYTHON=true", target, *(f"{name}={values[name]}" for name in values)]
        environ = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
        subprocess.run(
            words,
            cwd=tmp_path,
            env={**environ, **dict(environment)},
            capture_output=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
        assert not (tmp_path / "pwned").exists(), (target, values, environment)
        programs = log.read_bytes().decode().split("\0<end>\0")[:-1] if log.exists() else []
        return [program.split("\0") for program in programs]

    return run


def assert_arrived(recorded, target, values):
    """Every variable of the target's help is a word of a program, whole, or in its environment when it is secret."""
    words = [word for *argv, _ in recorded for word in argv]
    options = {word.partition("=")[2] for word in words if word.startswith("--")}
    for name in set(VARIABLES[target]) - SWITCHES - {SECRET}:
        assert values[name] in options | {*words}, (target, name, recorded)
    if SECRET in VARIABLES[target]:
        assert all(secret == values[SECRET] for *_, secret in recorded)
        assert not any(values[SECRET] in word for word in words)


def names():
    return sorted({name for target in VARIABLES for name in VARIABLES[target]})


@pytest.mark.parametrize("target", VARIABLES)
def test_values_run_nothing_and_arrive_as_they_are(make, target):
    for text in HOSTILE:
        # Each its own, so that none stands in for another.
        values = {name: f"{text}{name}{text}" for name in names()}
        recorded = make(target, values)
        assert recorded or target == "help"
        assert_arrived(recorded, target, values)


@pytest.mark.parametrize("target", VARIABLES)
def test_the_environment_is_no_other(make, target):
    values = {name: "$(shell touch pwned)`touch pwned`" + name for name in names()}
    assert_arrived(make(target, {}, values), target, values)


def test_the_targets_have_variables():
    assert len(names()) > 20 and {"YES", "SECRETS"} <= SWITCHES


def test_the_key_is_on_no_command_line():
    words = ["make", "PYTHON=true", "--dry-run", "join", "URL=https://nas.local:8443", "KEY=secret"]
    shown = subprocess.check_output(words, cwd=ROOT, text=True)
    assert "stack join" in shown and "secret" not in shown


@pytest.mark.parametrize(
    ("target", "name"),
    [("new", "NAME"), ("example", "NAME"), ("join", "URL"), ("reproduce", "RUN")],
)
def test_what_is_missing_is_named(target, name):
    environ = {name: value for name, value in os.environ.items() if name not in names()}
    words = ["make", "PYTHON=true", "STACK=true", target]
    shown = subprocess.run(words, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)
    assert shown.returncode == 2 and f"{name}=" in shown.stderr
