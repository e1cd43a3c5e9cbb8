"""Services that start at once on a new home all get their connection to the state."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from sqlalchemy import text

from stack.core import migrations
from stack.core.database import engine
from stack.core.settings import Settings


@pytest.mark.parametrize("attempt", range(5))
def test_connections_that_are_opened_at_once_are_all_served(tmp_path, attempt):
    url = Settings(home=tmp_path).state_database
    migrations.upgrade(url)
    together = Barrier(8)

    def ask(_: int) -> str:
        together.wait()
        with engine(url).connect() as connection:
            return connection.execute(text("PRAGMA journal_mode")).scalar_one()

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(ask, range(8))) == {"wal"}
