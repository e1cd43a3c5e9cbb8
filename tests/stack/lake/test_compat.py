"""What `_compat.py` reaches for, tool by tool: a failure here names the tool that has changed."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from dvc.repo import Repo

from stack.core.settings import Settings
from stack.lake import _compat, history, repository
from tests.stack.lake.lakes import dvc

FOLDER = "trains/2013-01/month"


@pytest.fixture
def repo(settings: Settings) -> Iterator[Repo]:
    with repository.opened(settings) as opened:
        yield opened


def test_dvc_waits_for_its_lock(settings: Settings, repo: Repo) -> None:
    held, free = threading.Event(), threading.Event()

    def hold() -> None:
        with Repo(str(settings.lake)) as other, other.lock:
            held.set()
            free.wait()

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait()
    # Without waiting, DVC gives up after six tries of half a second.
    threading.Timer(4, free.set).start()
    with _compat.lock(repo):
        assert free.is_set(), "dvc: Repo(_wait_for_lock=True) does not wait"
    holder.join()


def test_dvc_data_lists_and_stores_as_dvc_add_does(settings: Settings, repo: Repo) -> None:
    folder = settings.lake / FOLDER
    file = folder / "trains/a.parquet"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"rows")
    ours = yaml.safe_load(repository.track(repo, folder, {"trains/a.parquet": file}).read_text())
    assert file.stat().st_nlink == 2, "dvc-objects: HashFileDB.add(hardlink=True) does not link"
    assert not file.stat().st_mode & 0o222, "dvc-data: the cache does not write-protect"
    assert dvc(settings, "status") == "Data and pipelines are up to date.\n", "dvc: it reads our .dvc file otherwise"

    (settings.lake / f"{FOLDER}.dvc").unlink()
    dvc(settings, "add", FOLDER)
    theirs = yaml.safe_load((settings.lake / f"{FOLDER}.dvc").read_text())
    assert ours == theirs, "dvc: `dvc add` writes another .dvc file than we do"


def test_dvc_data_replaces_an_object_that_a_kill_cut_short(repo: Repo) -> None:
    oid = _compat.write_list(repo, {"trains/a.parquet": "0" * 32})
    path = Path(_compat.cached(repo, oid))
    whole = path.read_bytes()
    assert json.loads(whole) == [{"md5": "0" * 32, "relpath": "trains/a.parquet"}], "dvc-data: another list format"
    path.chmod(0o644)
    path.write_bytes(whole[:5])
    _compat.write_list(repo, {"trains/a.parquet": "0" * 32})
    assert path.read_bytes() == whole, "dvc-data: HashFileDB.add(verify=True) keeps a torn object"
    assert _compat.write_list(repo, {}, wanted="other.dir") != "other.dir"
    assert not _compat.has(repo, _compat.write_list(repo, {}, wanted="other.dir"))


def test_dvc_pushes_one_folder_with_its_files(settings: Settings, tmp_path: Path) -> None:
    remote = settings.model_copy(update={"lake_remote": str(tmp_path / "remote")})
    with repository.opened(remote) as repo:
        file = settings.lake / FOLDER / "trains/a.parquet"
        file.parent.mkdir(parents=True)
        file.write_bytes(b"rows")
        tracked = yaml.safe_load(repository.track(repo, settings.lake / FOLDER, {"trains/a.parquet": file}).read_text())
        _compat.push(repo, tracked["outs"][0]["md5"])
    pushed = sorted(path.suffix for path in (tmp_path / "remote").rglob("*") if path.is_file())
    assert pushed == ["", ".dir"], "dvc: DataCloud.push does not upload a list with its files"


def test_scmrepo_reads_trees_and_stages_what_is_gone(settings: Settings, repo: Repo) -> None:
    head = repo.scm.get_rev()
    assert history.content(repo.scm, head, ".gitignore") == repository.IGNORED.encode(), "scmrepo: get_tree_obj"
    assert history.entry(repo.scm, head, "trains/none") is None
    (settings.lake / ".gitignore").unlink()
    repo.scm.add([str(settings.lake / ".gitignore")])
    repo.scm.commit(history.message("Remove", "", Layout="0"), no_verify=True)
    assert history.entry(repo.scm, "HEAD", ".gitignore") is None, "scmrepo: Git.add does not stage a deletion"
    assert [commit.message.partition("\n")[0] for commit in history.commits(repo.scm)] == [
        "Remove",
        "Prepare the data registry",
    ], "scmrepo: branch_revs, resolve_commit"
