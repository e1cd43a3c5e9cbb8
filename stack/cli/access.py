"""Who may use the stack from outside: the tokens of programs and of machines that train."""

from datetime import UTC, datetime

import click

from stack.cli.common import current_runtime, main
from stack.core.errors import StackError, nearest

TRAIN = "train"


@main.command()
@click.option("--project", default="all", show_default=True, help="Name of a project, or all.")
@click.option("--for", "purposes", help="Of predict, feedback, rows, admin, separated by commas; or train.")
@click.option("--name", default="", help="What has the token, for the list.")
@click.option("--revoke", metavar="ID", help="Delete the token with this id instead.")
@click.option("--prefix", default="", hidden=True)
def token(project: str, purposes: str | None, name: str, revoke: str | None, prefix: str) -> None:
    """Make a token and print it: only its hash is kept. Programs send it as `Authorization: Bearer <token>`."""
    from stack.access import tokens
    from stack.ops import lan

    runtime = current_runtime()
    database = runtime.settings.state_database
    if revoke:
        identity = revoke

        def here() -> None:
            tokens.revoke(database, identity)
            click.echo(f"revoked {identity}: services refuse it within seconds")

        runtime.beside_state(here, ["token", "--revoke", identity], click.echo)
        return
    wanted = [purpose.strip() for purpose in (purposes or "").split(",") if purpose.strip()]
    if wanted == [TRAIN]:
        project = tokens.EVERY_PROJECT
        prefix = prefix or f"{lan.fingerprint(runtime.settings)}."
    _require_scope(project, wanted)

    def create() -> None:
        click.echo(prefix + tokens.create(database, project, wanted, datetime.now(UTC), name))

    words = ["token", "--project", project, "--for", ",".join(wanted), "--name", name, "--prefix", prefix]
    runtime.beside_state(create, words, click.echo)


def _require_scope(project: str, purposes: list[str]) -> None:
    """Refuse a token for nothing, for a project that does not exist, or for training and something else."""
    from stack.access.tokens import EVERY_PROJECT
    from stack.specification import specs

    if not purposes or (TRAIN in purposes and purposes != [TRAIN]):
        raise StackError(
            "FOR",
            found=", ".join(purposes) or "nothing",
            expected="predict, feedback, rows or admin, or several by commas; or train alone",
            todo="make token PROJECT=<name> FOR=predict",
        )
    known = [*specs.names(), EVERY_PROJECT]
    if project not in known:
        raise StackError("PROJECT", found=f"{project}{nearest(project, known)}", expected=f"of {', '.join(known)}")


@main.command()
def tokens() -> None:
    """List the tokens: id, name, project, purposes, when each was made and last used."""
    from stack.access import tokens

    runtime = current_runtime()

    def here() -> None:
        stored = tokens.by_hash(runtime.settings.state_database).values()
        click.echo(f"{'ID':<10}{'NAME':<20}{'PROJECT':<20}{'FOR':<26}{'CREATED':<18}LAST USED")
        for one in stored:
            used = f"{one.used_at:%Y-%m-%d %H:%M}" if one.used_at else "never"
            scope = f"{one.project:<20}{','.join(one.purposes):<26}"
            click.echo(f"{one.id:<10}{one.name or '-':<20}{scope}{one.created_at:%Y-%m-%d %H:%M}  {used}")

    runtime.beside_state(here, ["tokens"], click.echo)
