"""What is done with a project: write it, run its pipeline, decide on its models, package them."""

import gc
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from stack.cli.common import (
    current_runtime,
    flow_command,
    follow,
    instant_option,
    main,
    opened,
    out_option,
    project_command,
    settings_with,
)
from stack.core import memory
from stack.core.errors import StackError
from stack.specification import tasks

END = "End of the window, ISO 8601 with a zone, inclusive."
SINCE = instant_option("--since", text="Start of the window, ISO 8601 with a zone, exclusive.")
UNTIL = instant_option("--until", text=END)
WINDOW = (SINCE, UNTIL)
CUTOFF = instant_option("--until", "cutoff", text=END)


@main.command()
@click.argument("name")
@click.option("--from", "place", prompt="Which table", help="A file, a folder, a URL, or a key of .env with one.")
@click.option("--table", help="Of a database: table, view or query.")
@click.option("--sensor", help="Of Home Assistant: sensors, separated by commas.")
@click.option("--target", help="Column to be predicted.")
@click.option("--time", help="Column, or columns a,b, with the instant of a row; none for a table without time.")
@click.option("--known", help="Column with the instant at which the outcome of a row is known; none for none.")
@click.option("--keys", help="Columns whose past is known, separated by commas; none for none.")
@click.option("--task", type=click.Choice(list(tasks.KINDS)), help="What is predicted.")
@click.option("--zone", help="Time zone of instants that name none, like Europe/Berlin.")
@click.option("--group", help="Column whose rows of the same value are held out together; none for none.")
@click.option("--ahead", help="Of a forecast: columns that are known ahead, separated by commas.")
@click.option("--steps", type=click.IntRange(1, 336), help="Of a forecast: how many values; a day or a week of them.")
@click.option("--keep", help="Columns to use although they seem to give the target away, separated by commas.")
@click.option("--missing", help="Of a CSV file or workbook: what stands for a missing value, like -200,9999.")
@click.option("--unfinished", is_flag=True, help="Keep what was written though it does not run.")
def new(name: str, place: str, unfinished: bool, **wishes: Any) -> None:
    """Write the project NAME from a table; asks for what is not given; off a terminal it chooses, but no target."""
    from stack.authoring import rehearsal
    from stack.authoring.scaffold import origins, project
    from stack.authoring.scaffold.wishes import Wishes

    memory.return_large_arrays()
    now, ask = datetime.now(UTC), _ask if sys.stdin.isatty() else None
    if place.startswith("mqtt://"):
        click.echo(f"listening to {place}, for {origins.LISTEN_SECONDS / 60:.0f} minutes at most", err=True)
    written = project.write(name, place, Wishes(**wishes), now, ask)
    gc.collect()  # the table, before it is read again: reference cycles hold it
    click.echo("\n".join(f"  {note}" for note in written.notes))
    try:
        outcome = rehearsal.run(name, datetime.now(UTC), lambda line: click.echo(f"trying it out: {line}"))
    except StackError:
        if not unfinished:
            project.remove(written)
            click.echo("\nit does not run, so nothing is kept; with UNFINISHED=1 the files stay")
        raise
    click.echo(f"{outcome}\n")
    click.echo(f"wrote {written.folder}/project.yaml: {written.lines} lines, {written.to_read} with a comment to read")
    click.echo(f"then `make run PROJECT={name}`")


def _ask(question: str, default: str, known: Sequence[str]) -> str:
    """Ask on the terminal."""
    choices = f" ({', '.join(known)})" if known else ""
    return str(click.prompt(f"{question}{choices}", default=default))


@project_command
@click.option("--parts", default="source,features,checks,definitions", show_default=True, help="Which of them.")
def eject(project: str, parts: str) -> None:
    """Write what project.yaml of PROJECT declares as Python files, to be changed; they replace what it said."""
    from stack.authoring import eject

    wanted = [part.strip() for part in parts.split(",")]
    if strange := [part for part in wanted if part not in eject.PARTS]:
        raise StackError("PARTS", found=repr(strange[0]), expected=f"some of {', '.join(eject.PARTS)}")
    for path in eject.write(opened(project), wanted):
        click.echo(f"wrote {path}")


@project_command
def check(project: str) -> None:
    """Report what is wrong with PROJECT, in seconds and before anything runs; end with 1 if anything is."""
    from stack.authoring import check

    findings = check.findings(project, now := datetime.now(UTC))
    for finding in findings:
        click.echo(f"{finding}\n")
    for leak in [] if findings else check.leaks(project, now):
        click.echo(f"warning: {leak}; if that is only known afterwards, no model should learn from it\n")
    click.echo(f"{project}: {len(findings) or 'no'} problem{'' if len(findings) == 1 else 's'}")
    sys.exit(1 if findings else 0)


@project_command
def packages(project: str) -> None:
    """Lock the packages of projects/PROJECT/requirements.txt, which its trainings have and nothing else."""
    from stack.training import packages as own

    folder = opened(project).spec.folder
    click.echo(f"wrote {own.lock(folder)}; the next training of {project} installs: {', '.join(own.pins(folder))}")


@project_command
def catalog(project: str) -> None:
    """List every data set of PROJECT: where it is stored, its version, rows and time span."""
    import httpx

    from stack.specification.specs import load

    load(project)
    settings = settings_with()
    page = f"{settings.portal_url}/catalog/{project}"
    try:
        answer = httpx.get(f"{page}.json", timeout=60, trust_env=False).raise_for_status()
    except httpx.HTTPError as error:
        raise StackError(page, found=str(error), expected="the data sets", todo="look with `make status`") from None
    for data_set in answer.json():
        rows = "" if data_set["rows"] is None else f"{data_set['rows']:,} rows"
        span = " to ".join(text for text in (data_set["since"], data_set["until"]) if text)
        facts = " · ".join(filter(None, (data_set["version"], rows, span, data_set["note"])))
        click.echo(f"{data_set['kind']:<15} {data_set['name']}")
        click.echo(f"{'':<15}   {data_set['place']}\n{'':<15}   {facts}")
    click.echo(f"\n{settings.address('portal')}/catalog/{project}")


@project_command
def run(project: str) -> None:
    """Run the whole pipeline of PROJECT: ingest, train, promote, monitor; then ask for one prediction."""
    from stack.ops import welcome
    from stack.promotion.challengers import undecided

    subject = opened(project)
    current_runtime().apply_changes(click.echo)
    follow("pipeline", project, {})
    if version := undecided(subject):
        click.echo(f"\nversion {version.version} looks too good to be true, and is awaiting approval:")
        click.echo(f"{subject.settings.address('portal')}/projects/{project} or `make approve PROJECT={project}`")
        return
    click.echo(f"\n$ {welcome.curl(subject)}\n{welcome.answer(subject)}")


@project_command
@click.option("--keep", is_flag=True, help="Keep its files, so that it begins anew.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--state", is_flag=True, hidden=True, help="At once, only what the stack has of it.")
def remove(project: str, keep: bool, yes: bool, state: bool) -> None:
    """Delete PROJECT with its data, models, answers and reports; the files of an example stay."""
    from stack.ops import removal

    runtime = current_runtime()
    settings = runtime.settings

    def here() -> None:
        removal.remove_state(settings, project, click.echo)

    if state:
        here()
        return
    removal.require_possible(settings, project)
    paths = [] if keep else removal.files(settings, project)
    if not yes:
        parts = ", ".join([*map(str, paths), f"all data, models, answers and reports of {project}"])
        click.confirm(f"Delete {parts}? `make backup` keeps them.", abort=True)
    removal.remove_files(paths, click.echo)
    runtime.apply_changes(click.echo)
    runtime.beside_state(here, ["remove", project, "--state"], click.echo)
    click.echo(f"{project} is removed" if paths else f"nothing is left of {project} but its files")


flow_command(
    "ingest",
    "Fetch, check and append the rows of PROJECT that became known in a window; by default since the last batch.",
    *WINDOW,
)
flow_command(
    "train", "Train PROJECT on the labels known at --until; the gate decides whether the model goes live.", CUTOFF
)
flow_command(
    "sweep",
    "Compare models, feature sets and hyper-parameters of PROJECT on one page; nothing is registered.",
    click.option("--trials", default=50, show_default=True, help="Until so many are done; earlier ones count."),
    CUTOFF,
)


@project_command
@SINCE
@UNTIL
@click.option("--input", type=click.Path(exists=True, path_type=Path), help="CSV or Parquet, or a folder of Parquet.")
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="CSV or Parquet for the answers.")
def predict(project: str, input: Path | None, output: Path | None, **window: str | None) -> None:  # noqa: A002
    """Score a file or a window with the champion of PROJECT."""
    runtime = current_runtime()
    name = input.stem if input else f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    default = runtime.settings.home / "predictions" / project / f"{name}.parquet"
    with runtime.files(input, output, default, click.echo) as (given, wanted):
        follow("predict", project, window | {"input": given, "output": wanted})


flow_command(
    "monitor",
    "Report drift and performance of PROJECT over the window that ends at --until.",
    instant_option("--until", "at", text=END),
)
flow_command(
    "skew",
    "Recompute the features of the predictions of PROJECT asked in a window; end with 1 if any differs.",
    *WINDOW,
)


@project_command
@click.option("--until", required=True, help="Play to the end of this date (UTC), or to an instant with a zone.")
@click.option("--profile", is_flag=True, help="Write a page about where the time went.")
def replay(project: str, until: str, profile: bool) -> None:
    """Play the recorded data of PROJECT forward from its clock's now: asked again, it goes on where it was stopped."""
    from stack.core.clock import end_of

    follow("replay", project, {"until": end_of(until).isoformat(), "profile": profile})


flow_command(
    "report", "Write the page of a replay of PROJECT: live, frozen and weekly retrained model, drift and decisions."
)


@main.command()
@click.argument("run")
@click.option("--anyway", is_flag=True, help="With the code and the packages as they are now.")
def reproduce(run: str, anyway: bool) -> None:
    """Rebuild the model of RUN, a training in MLflow, and compare metrics and predictions with the recorded ones."""
    from stack.reproduce import checkouts, reproduce

    runtime = current_runtime()
    recipe = reproduce.recipe_of(runtime.settings, run)
    if anyway or checkouts.is_of_this_code(recipe):

        def here() -> None:
            reproduce.reproduce(runtime.settings, run, click.echo, as_it_is=anyway)

        runtime.beside_state(here, ["reproduce", run, *["--anyway"] * anyway], click.echo)
        return
    with runtime.lake() as settings:
        reproduce.reproduce(settings, run, click.echo)


@project_command
@out_option("dist", "Folder.")
def package(project: str, out: Path) -> None:
    """Pack the champion of PROJECT: a wheel that predicts without the stack, and a Bento."""
    from stack.ops import welcome
    from stack.takeaway import packages

    subject = opened(project)
    welcome.answer_of_registry(subject.settings, subject.registry.champion)
    wheel_file = packages.wheel(subject, out)
    click.echo(f"{wheel_file}\n  pip install it anywhere; from {subject.name}_model import predict")
    bento_file = packages.bento(subject, out)
    tag = bento_file.stem.rpartition("-")
    click.echo(f"{bento_file}\n  bentoml import it, then bentoml serve or bentoml containerize {tag[0]}:{tag[2]}")


@project_command
@click.option("--to", type=click.Choice(["kubeflow"]), required=True, help="The orchestrator.")
@click.option("--image", help="The stack's image, where it is pulled; by default its name on this machine.")
@out_option("dist", "Folder.")
def export(project: str, to: str, image: str | None, out: Path) -> None:
    """Compile the pipeline of PROJECT for another orchestrator."""
    from stack.ops import compose_file
    from stack.specification.specs import load
    from stack.takeaway import tools

    spec, image = load(project), image or compose_file.image("worker")
    click.echo(tools.kubeflow(spec, image, spec.clock.first_now or datetime.now(UTC), out))


@main.command()
def notebook() -> None:
    """Open Jupyter with the environment of the running stack."""
    from stack.core.settings import ROOT

    words, environ = current_runtime().notebook(os.environ, click.echo)
    os.chdir(ROOT)
    os.execvpe(words[0], words, environ)  # noqa: S606  # Jupyter takes the terminal
