"""The commands of tokens, as processes; containers run the same ones in the worker."""

import pytest
from click.testing import CliRunner, Result

from stack.cli import main
from tests.stacks import own_environment


@pytest.fixture
def run(tmp_path):
    own = own_environment(tmp_path / "home")

    def command(*words: str) -> Result:
        return CliRunner().invoke(main, words, env=own)

    return command


def test_a_token_is_printed_once_listed_and_revoked(run):
    text = run("token", "--project", "flights", "--for", "predict, feedback", "--name", "doorbell").output.strip()
    identity, _, secret = text.partition("-")

    listed = run("tokens").output
    assert secret and secret not in listed
    assert listed.splitlines()[-1].split()[:4] == [identity, "doorbell", "flights", "predict,feedback"]
    assert listed.splitlines()[-1].endswith("never")

    assert "within seconds" in run("token", "--revoke", identity).output
    assert identity not in run("tokens").output
    assert run("token", "--revoke", identity).exit_code == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--project", "flights"], "found     nothing"),
        (["--project", "flights", "--for", "predit"], "did you mean 'predict'"),
        (["--project", "flihts", "--for", "predict"], "did you mean 'flights'"),
        (["--for", "train,predict"], "train alone"),
        (["--for", "train"], "make up PROFILES=lan"),
    ],
)
def test_a_token_for_nothing_is_refused(run, words, message):
    refused = run("token", *words)
    assert refused.exit_code == 1 and message in refused.output
    assert len(run("tokens").output.splitlines()) == 1
