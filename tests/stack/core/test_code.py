"""What changed between two versions of the code that trainings have recorded."""

import subprocess
from types import SimpleNamespace

from stack.core import code


def test_only_the_files_that_decide_a_training_are_listed_and_only_of_commits(tmp_path, monkeypatch):
    monkeypatch.setattr(code, "settings", lambda: SimpleNamespace(workspace=tmp_path))

    def commit(text):
        for name in ("projects/a/project.yaml", "projects/b/project.yaml", "README.md"):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)
        who = ["-c", "user.name=a", "-c", "user.email=a@b"]
        for words in (["init", "-q"], ["add", "."], [*who, "commit", "-qm", text]):
            subprocess.run(["git", *words], cwd=tmp_path, check=True)
        return code.git("rev-parse", "HEAD", at=tmp_path)

    before, after = commit("one\n"), commit("two\nthree\n")
    changed = code.changes("a", f"{before}{code.DIRTY}", after, tmp_path)
    assert [line.split("|")[0].strip() for line in changed[:-1]] == ["projects/a/project.yaml"]
    assert changed[-1] == " 1 file changed, 2 insertions(+), 1 deletion(-)"
    assert code.changes("a", after, after, tmp_path) == []
    assert code.changes("a", before, "0" * 40, tmp_path) is None
    assert code.changes("a", "--output=pwned", after, tmp_path) is None and not (tmp_path / "pwned").exists()
