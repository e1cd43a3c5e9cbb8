"""The switch of canaries: ``rollout.canary`` in a project's file, and the canary that answers."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import yaml

from stack.authoring import project_file
from stack.core.errors import StackError, no_answer
from stack.core.settings import Settings
from stack.project import Project
from stack.promotion import decisions
from stack.promotion.decisions import DecisionTime, Judgement
from stack.specification.sections import Rollout


def switch(settings: Settings, name: str, share: float, now: datetime) -> str:
    """Set the share of the requests that the canaries of a project answer, 0 for no canary; return what has changed.

    A canary that answers at the moment is left alone: see :func:`withdraw`.

    Raises:
        StackError: the share is not in [0, 1), or the file cannot be changed.
    """
    before = Project.open(name, settings).spec.rollout
    if share == before.canary:
        return f"{_percent(share)} as before"
    file = project_file.read(settings, name)
    if not file.writable:
        raise StackError(
            str(file.path),
            found="a file that cannot be written here",
            expected="one that can",
            todo=f"on the machine itself: make canary PROJECT={name} SHARE={share:g}",
        )
    text = with_number(file.text, "rollout", "canary", share)
    kept = project_file.save(settings, name, text, file.digest, now)
    return f"{_percent(share)} instead of {_percent(before.canary)}; the old project.yaml: {kept}"


def _percent(share: float) -> str:
    return f"{100 * share:.3g} % of the requests" if share else "none"


def describe(rollout: Rollout) -> str:
    """Return what happens to a version that passes the gate."""
    if not rollout.canary:
        return "a version that passes the gate is champion at once"
    hours = rollout.canary_for / timedelta(hours=1)
    return (
        f"a version that passes the gate answers {_percent(rollout.canary)} for {hours:g} hours, "
        "then it is champion; it is withdrawn when it breaks its bounds"
    )


def withdraw(settings: Settings, name: str, reason: str) -> str:
    """Stop the canary of a project from answering; return its version, or nothing when there is none.

    Raises:
        StackError: the registry does not answer.
    """
    project = Project.open(name, settings)
    try:
        canary, champion = project.registry.canary(), project.registry.champion()
    except httpx.HTTPError as error:
        raise no_answer(f"MLflow at {settings.mlflow_url}", error, "make up, then switch it off again") from error
    if canary is None:
        return ""
    judgement = Judgement(canary.version, champion.version if champion else None, reason, {})
    entry = decisions.withdraw(project, judgement, DecisionTime(project.clock.now(), datetime.now(UTC)))
    return entry.version if entry else ""


def with_number(text: str, section: str, key: str, value: float) -> str:
    """Return a valid project.yaml with a number of a section set; all else stays as it is written, comments too.

    Raises:
        StackError: the section is written in a way that this does not know, as with an anchor.
    """
    number, node = f"{value:g}", _child(yaml.compose(text), section)
    known = node and _child(node, key)
    if node is None:
        changed = f"{text.rstrip()}\n{section}:\n  {key}: {number}\n"
    elif known:
        changed = text[: known.start_mark.index] + number + text[known.end_mark.index :]
    else:
        start = node.start_mark.index + node.flow_style
        end = (", " if node.value else "") if node.flow_style else "\n" + " " * node.start_mark.column
        changed = f"{text[:start]}{key}: {number}{end}{text[start:]}"
    content = yaml.safe_load(text)
    if _parsed(changed) != content | {section: content.get(section, {}) | {key: value}}:
        expected = f"`{section}:` with its keys on the lines below it"
        raise StackError(project_file.NAME, found="it written otherwise", expected=expected, todo=f"set {key} by hand")
    return changed


def _child(mapping: Any, key: str) -> Any:
    """Return the YAML node of a key, None where there is none."""
    return next((node for name, node in mapping.value if name.value == key), None)


def _parsed(text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return None
