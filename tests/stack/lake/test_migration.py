"""A lake of the layout before partitions: brought up to date once, every revision readable, whole after a kill."""

import os
import subprocess
from functools import partial
from itertools import count
from pathlib import Path

import pandas as pd
import pytest
from dvc.repo import Repo

from stack.core.settings import Settings
from stack.lake import contents, lake
from stack.project import Project
from tests.stack.lake.lakes import DAYS, SPEC, append, commits, died, dvc, tables
from tests.stack.lake.test_dvc_commands import git


def old_lake(settings: Settings, days: int) -> list[str]:
    """Make a lake as the release before wrote it, with all file lists but the newest deleted; give its revisions."""
    lake.prepare(settings)
    git(settings, "rm", ".gitignore")
    raw, revisions = settings.lake / "trains/raw", []
    for day in range(days):
        batch = lake.batch_id(DAYS[day], DAYS[day + 1])
        with Repo(str(settings.lake)) as repo:
            if not day:
                raw.mkdir(parents=True)
                repo.add([str(raw)])
            added = []
            for name, frame in tables(day).items():
                (raw / name).mkdir(exist_ok=True)
                added.append(str(raw / name / f"{batch}.parquet"))
                contents.in_utc(frame).to_parquet(added[-1], index=False)
            repo.add(added)
            repo.scm.add(["trains/raw.dvc", "trains/.gitignore"])
            repo.scm.commit(f"Append trains {batch}\n\n3 trains, 3 weather\n", no_verify=True)
            revisions.append(repo.scm.get_rev())
    newest = (settings.lake / "trains/raw.dvc").read_text().partition("md5: ")[2].split()[0]
    for path in (settings.lake / ".dvc/cache/files/md5").glob("*/*.dir"):
        if path.parent.name + path.name != newest:
            path.unlink()
    (settings.lake / ".dvc/tmp/keys-trains.npz").write_bytes(b"of the release before")
    return revisions


def require_whole(settings: Settings, revisions: list[str]) -> None:
    """Every revision reads as it was, by us and by a user's shell, and nothing is left over."""
    for day, revision in enumerate(revisions, start=1):
        assert len(Project(settings, SPEC).lake.read(revision=revision)["trains"]) == 3 * day
    assert len(Project(settings, SPEC).lake.read()["trains"]) == 3 * len(revisions)
    assert Project(settings, SPEC).lake.revision() == revisions[-1]
    assert Project(settings, SPEC).lake.batches()["revision"].tolist() == revisions
    assert commits(settings)[0] == "Partition trains"
    assert len(commits(settings)) == 2 + len(revisions)
    assert [path.name for path in (settings.lake / "trains").iterdir() if path.name != ".gitignore"] == ["2013-01"]
    assert len(list(settings.lake.glob("trains/2013-01/month/*/*.parquet"))) == 2 * len(revisions)
    assert not list(settings.lake.rglob("*.new")) + list(settings.lake.rglob("*.npz"))
    assert dvc(settings, "data", "status") == "No changes.\n"
    assert git(settings, "status", "--porcelain") == ""


def test_every_revision_stays_readable(settings: Settings) -> None:
    revisions = old_lake(settings, 4)
    assert lake.migrate(settings) == ["trains"]
    require_whole(settings, revisions)
    assert lake.migrate(settings) == []
    require_whole(settings, revisions)

    git(settings, "checkout", revisions[1])
    dvc(settings, "checkout")
    assert len(list(settings.lake.glob("trains/raw/trains/*.parquet"))) == 2
    assert dvc(settings, "status") == "Data and pipelines are up to date.\n"
    git(settings, "checkout", "main")
    dvc(settings, "checkout")
    assert len(list(settings.lake.glob("trains/2013-01/month/trains/*.parquet"))) == 4
    assert dvc(settings, "status") == "Data and pipelines are up to date.\n"

    with pytest.raises(Exception, match="3 rows that the lake already has"):
        Project(settings, SPEC).lake.append(
            tables(4) | {"trains": tables(4)["trains"].assign(day="0")}, DAYS[4], DAYS[5]
        )
    assert append(settings, 3) == revisions[3]
    assert append(settings, 4) == Project(settings, SPEC).lake.revision()
    assert len(Project(settings, SPEC).lake.read()["trains"]) == 15


def test_an_append_migrates_a_lake_of_the_former_layout(settings: Settings) -> None:
    old_lake(settings, 2)
    append(settings, 2)
    assert commits(settings)[:2] == [f"Append trains {lake.batch_id(DAYS[2], DAYS[3])}", "Partition trains"]
    assert len(Project(settings, SPEC).lake.read()["trains"]) == 9


def test_a_killed_append_of_the_release_before_is_taken_back(settings: Settings) -> None:
    revisions = old_lake(settings, 2)
    batch = lake.batch_id(DAYS[2], DAYS[3])
    stray = settings.lake / f"trains/raw/trains/{batch}.parquet"
    stray.write_bytes(b"half")
    (settings.lake / "trains/raw.dvc").write_text("outs: []\n")
    (settings.lake / ".git/index.lock").touch()
    (settings.lake / ".dvc/tmp/append.json").write_text(f'{{"project": "trains", "batch": "{batch}"}}')
    lake.migrate(settings)
    require_whole(settings, revisions)


def test_a_migration_killed_at_any_operation_is_completed_by_the_next_start(settings: Settings) -> None:
    revisions = old_lake(settings, 3)
    kills, event, step = 0, 3, int(os.environ.get("KILL_EVERY", "17"))
    while died(partial(lake.migrate, settings), event):
        kills, event = kills + 1, event + step
        assert len(Project(settings, SPEC).lake.read()["trains"]) == len(
            Project(settings, SPEC).lake.read(revision=revisions[-1])["trains"]
        )
    assert kills > 5
    lake.migrate(settings)
    require_whole(settings, revisions)


def test_a_killed_migration_is_completed_from_each_place(settings: Settings, tmp_path: Path) -> None:
    """Each kill on a fresh copy: above, one start goes on where the killed one before came to."""
    revisions = old_lake(settings, 2)
    rows = Project(settings, SPEC).lake.read()["trains"]
    for event in count(3, int(os.environ.get("KILL_EVERY", "37"))):
        copy = Settings(home=tmp_path / f"copy{event}")
        subprocess.run(["cp", "-a", settings.home, copy.home], check=True)
        ended = not died(partial(lake.migrate, copy), event)
        lake.migrate(copy)
        for day, revision in enumerate(revisions, start=1):
            assert len(Project(copy, SPEC).lake.read(revision=revision)["trains"]) == 3 * day
        pd.testing.assert_frame_equal(Project(copy, SPEC).lake.read()["trains"], rows)
        assert git(copy, "status", "--porcelain") == ""
        if ended:
            break
    require_whole(copy, revisions)
