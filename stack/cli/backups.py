"""Backup, restore and upgrade."""

from __future__ import annotations

from pathlib import Path

import click

from stack.cli.common import current_runtime, main, runtime_option, settings_with


@main.command()
@click.option("--out", type=click.Path(path_type=Path), default="backups", show_default=True, help="Folder or file.")
@click.option("--secrets", is_flag=True, help="Put .env in too.")
def backup(out: Path, secrets: bool) -> None:
    """Write all state into one archive, while the stack runs."""
    from datetime import UTC, datetime

    from stack.ops import contents

    env = contents.ENV if secrets else None
    current_runtime().backup(out, datetime.now(UTC), click.echo, secrets=env)


@main.command()
@click.argument("file", type=click.Path(path_type=Path))
@runtime_option
@click.option("--yes", is_flag=True, help="Move the state that is there aside.")
@click.option("--secrets", is_flag=True, help="Write .env from the archive.")
def restore(file: Path, runtime: str | None, yes: bool, secrets: bool) -> None:
    """Bring back the state in FILE, an archive of `backup`; the stack must be down."""
    from datetime import UTC, datetime

    current_runtime(runtime=runtime).restore(file, datetime.now(UTC), click.echo, replace=yes, secrets=secrets)


@main.command()
@click.option("--out", type=click.Path(path_type=Path), default="backups", show_default=True, help="Folder or file.")
def upgrade(out: Path) -> None:
    """Back up, install the locked packages, and start the checked-out version, which migrates the databases."""
    from datetime import UTC, datetime

    from stack.ops import upgrade

    upgrade.upgrade(settings_with(), out, datetime.now(UTC), click.echo)
