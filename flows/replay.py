"""Play recorded time forward up to an instant; an interrupted replay goes on where it was."""

from __future__ import annotations

from contextlib import closing
from datetime import datetime
from typing import TYPE_CHECKING

from prefect import flow, get_run_logger

from flows import ingest
from flows.common import alert_full_disk, instant
from flows.monitor import monitor
from stack.core.profile import switch
from stack.ops.runs import Runs
from stack.project import Project

if TYPE_CHECKING:
    from stack.replay.player import Player, Review


@flow(name="replay", flow_run_name="replay {project}", on_failure=[alert_full_disk])
def replay(project: str, until: datetime, profile: bool = False) -> datetime:
    """Play a project's recorded data from its clock's "now" to `until`.

    Args:
        project: name of a project on the replay clock.
        until: the clock stands here in the end.
        profile: write a page about where the time went.
    """
    from stack.replay.replay import require_replay

    opened = Project.open(project)
    require_replay(opened.spec, instant(opened))
    switch(opened.settings, project, profile)
    with closing(player(opened, until)) as playing:
        playing.play()
    if profile:
        switch(opened.settings, project, False)
        save_profile(opened)
    return opened.clock.now()


def save_profile(project: Project) -> None:
    """Write the page about where the time of the replay went."""
    from monitoring.replay import profile

    path = profile.save(project.settings, project.spec)
    get_run_logger().info("profile: %s/reports/%s/%s", project.settings.link("portal"), project.name, path.name)


def player(project: Project, until: datetime) -> Player:
    """Make a player whose monitoring is a subflow and whose trainings are runs of the deployment."""
    from stack.replay.player import START_SECONDS, Player
    from stack.replay.trainings import Trainings

    log = get_run_logger()
    trainings = Trainings(project.name, Runs(project.settings, START_SECONDS), log)
    return Player(
        project,
        until,
        trainings,
        log,
        monitor=lambda at: review(project, at),
        show=lambda result: ingest.show(project, result),
    )


def review(project: Project, at: datetime) -> Review:
    """Run the monitoring flow, and return what the replay goes by."""
    from monitoring import pages
    from stack.replay.player import Review

    retrain = monitor(project.name, at)
    return Review(retrain, pages.summaries(project.settings, project.name)[-1]["drift_share"])
