"""A portal without the rest of its stack, which starts in a second."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from stack.core import migrations, settings
from tests.stacks import Service, own_environment


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    """The portal of a stack of which nothing else runs."""
    environ = own_environment(tmp_path / "var") | {"STACK_BACKUP_FOLDER": str(tmp_path / "backups")}
    own = settings.load(environ, Path("/dev/null"))
    migrations.upgrade(own.state_database)
    healthy = lambda: httpx.get(f"{own.portal_url}/", trust_env=False).is_success  # noqa: E731
    with Service(own, "portal", healthy) as started:
        yield started
