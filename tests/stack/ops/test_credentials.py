import os

from stack.core.settings import load
from stack.ops import credentials


def test_passwords_are_made_up_once_and_other_lines_stay(tmp_path):
    file = tmp_path / ".env"
    file.write_text("STACK_MLFLOW_PORT=5001\nSTACK_REDIS_PASSWORD=mine")

    first = credentials.complete(load({}, file), file)
    second = credentials.complete(load({}, file), file)

    assert first == second == load({}, file)
    assert (first.redis_password, first.mlflow_port) == ("mine", 5001)
    assert len({getattr(first, name) for name in credentials.FIELDS}) == len(credentials.FIELDS)
    assert all(len(getattr(first, name)) == 48 for name in credentials.FIELDS if name != "redis_password")


def test_a_setting_is_kept_once(tmp_path):
    file = tmp_path / ".env"
    file.write_text("# STACK_PROFILES=\nSTACK_PROFILES=lan\nSTACK_NAME=mine\n")

    credentials.keep({"profiles": "feast-ui"}, file)

    assert file.read_text() == "# STACK_PROFILES=\nSTACK_NAME=mine\nSTACK_PROFILES='feast-ui'\n"


def test_a_dollar_sign_is_kept_as_it_is(tmp_path):
    credentials.keep({"lan_password_hash": "$2a$14$/FqxDnL1w0GkL6SQKGVcyO"}, tmp_path / ".env")

    assert load({}, tmp_path / ".env").lan_password_hash == "$2a$14$/FqxDnL1w0GkL6SQKGVcyO"


def test_the_file_is_its_owner_s_alone(tmp_path):
    before = os.umask(0)
    try:
        credentials.complete(load({}, tmp_path / ".env"), tmp_path / ".env")
    finally:
        os.umask(before)

    assert (tmp_path / ".env").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == [".env"]


def test_no_password_shows_in_what_is_printed(tmp_path):
    settings = credentials.complete(load({}, tmp_path / ".env"), tmp_path / ".env")

    assert not [name for name in credentials.FIELDS if getattr(settings, name) in repr(settings)]
