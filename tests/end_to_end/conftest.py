from collections.abc import Iterator

import pytest

from stack.core.settings import Settings
from tests.end_to_end import heavy
from tests.forks import Forks
from tests.stacks import shell


@pytest.fixture(scope="session")
def forks(running: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forks]:
    """Runs flows and commands on the running stack."""
    started = Forks(shell(running), tmp_path_factory.mktemp("forks"), heavy.MODULES)
    yield started
    started.close()
