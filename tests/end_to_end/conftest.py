from collections.abc import Iterator

import pytest

from stack.core.settings import Settings
from tests.end_to_end.forks import Forks
from tests.stacks import shell


@pytest.fixture(scope="session")
def forks(running: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forks]:
    """Runs flows on the running stack."""
    started = Forks(shell(running), tmp_path_factory.mktemp("forks"))
    yield started
    started.close()
