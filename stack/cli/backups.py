"""Backup, restore and upgrade."""

from __future__ import annotations

from pathlib import Path

import click

from stack.cli.common import main, settings_with


@main.command()
@click.option("--out", type=click.Path(path_type=Path), default="backups", show_default=True, help="Folder or file.")
@click.option("--secrets", is_flag=True, help="Put .env in too.")
def backup(out: Path, secrets: bool) -> None:
    """Write all state into one archive, while the stack runs."""
    from datetime import UTC, datetime

    from stack.ops.backup import contents, runtimes

    settings = settings_with()
    env = contents.ENV if secrets else None
    runtimes.current(settings).make(settings, out, datetime.now(UTC), click.echo, secrets=env)


@main.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--runtime", type=click.Choice(["auto", "local", "compose"]), help="Where to restore.")
@click.option("--yes", is_flag=True, help="Move the state that is there aside.")
@click.option("--secrets", is_flag=True, help="Write .env from the archive.")
def restore(file: Path, runtime: str | None, yes: bool, secrets: bool) -> None:
    """Bring back the state in FILE, an archive of `backup`; the stack must be down."""
    from datetime import UTC, datetime

    from stack.ops.backup import runtimes

    settings = settings_with(runtime=runtime)
    back = runtimes.current(settings).bring_back
    back(settings, file, datetime.now(UTC), click.echo, replace=yes, secrets=secrets)


@main.command()
@click.option("--out", type=click.Path(path_type=Path), default="backups", show_default=True, help="Folder or file.")
def upgrade(out: Path) -> None:
    """Back up, install the locked packages, and start the checked-out version, which migrates the databases."""
    from datetime import UTC, datetime

    from stack.ops.backup import upgrade

    upgrade.upgrade(settings_with(), out, datetime.now(UTC), click.echo)
