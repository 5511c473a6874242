"""What every step does around its work: whose folder it is, whether the result is there, what is
written down.
"""

import errno
import json
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from siamla.experiment.identity import Identity, Plain

from siamla.errors import UserError
from siamla.experiment.plan import Job
from siamla.files import sha256, write_text
from siamla.steps.perform import OWNER, Outcome, hashed, own, perform, publish, state_of, why


@dataclass(frozen=True)
class Made(Identity):
    step = "curate"
    settings: Plain
    code: str = "c"


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job(Made({"size": 3}), {"profile": "p", "dataset": "d"}, tmp_path / "out")


class Work:
    """Work that writes one file, and counts how often it was done."""

    def __init__(self, job: Job, text: str = "result") -> None:
        self.job, self.text, self.calls = job, text, 0

    def __call__(self, record: dict[str, Any]) -> Outcome:
        self.calls += 1
        own(self.job.folder, self.job.step, self.job.key)
        write_text(self.job.folder / "file.txt", self.text)
        return Outcome(sha256(self.job.folder / "file.txt"), hashed(self.job.folder, ["file.txt"]))


def test_a_result_that_belongs_to_the_plan_is_stamped_and_not_made_again(job: Job) -> None:
    work = Work(job)
    assert perform(job, None, work) is True
    stamp, made = job.stamp.read_text(), job.record_path.read_text()
    job.stamp.unlink()  # what Snakemake does before it runs a rule again
    assert perform(job, job.key, work) is False
    assert (work.calls, job.stamp.read_text(), job.record_path.read_text()) == (1, stamp, made)
    record = json.loads(made)
    assert record["identity"] == job.identity.plain
    assert json.loads(stamp) == {"key": job.key, "content": record["content"]}


@pytest.mark.parametrize("harm", ["identity", "file", "missing", "record"])
def test_a_result_that_does_not_belong_or_is_damaged_is_made_again(job: Job, harm: str) -> None:
    work = Work(job)
    perform(job, None, work)
    if harm == "identity":
        job = replace(job, identity=Made({"size": 4}))
        assert why(job, {}) == ["settings.size is 3, the plan has 4"]
    elif harm == "record":
        job.record_path.write_text("{")
    elif harm == "missing":
        (job.folder / "file.txt").unlink()
    else:
        (job.folder / "file.txt").write_text("damaged")
        assert "file.txt has changed since it was made" in why(job, {})[0]
    assert perform(job, None, work) is True
    assert why(job, {}) == []
    assert (job.folder / "file.txt").read_text() == "result"


def test_other_content_of_an_input_is_a_reason(job: Job, tmp_path: Path) -> None:
    parent = Job(Made({"size": 1}), {"profile": "p", "dataset": "e"}, tmp_path / "parent")
    child = replace(job, parents={"data": parent})
    with pytest.raises(UserError, match="`siamla data curate e --profile p` comes first"):
        perform(child, None, Work(child))
    assert not child.folder.exists()
    perform(parent, None, Work(parent, "one"))
    perform(child, None, Work(child))
    perform(replace(parent, identity=Made({"size": 2})), None, Work(parent, "two"))
    assert why(child, {"data": parent.content()}) == ["data has other content"]


@pytest.mark.parametrize("kind", ["folder", "file", "other step"])
def test_a_foreign_folder_is_refused_and_untouched(job: Job, kind: str) -> None:
    precious = job.folder / "precious.txt"
    if kind == "file":
        job.folder.write_text("precious")
    else:
        job.folder.mkdir()
        precious.write_text("precious")
    if kind == "other step":
        (job.folder / OWNER).write_text("train 0123\n")
    before = sorted(
        (path, path.read_bytes()) for path in job.folder.parent.rglob("*") if path.is_file()
    )
    work = Work(job)
    with pytest.raises(UserError, match=r"not made by siamla|found a file|another step"):
        perform(job, None, work)
    after = [(path, path.read_bytes()) for path in job.folder.parent.rglob("*") if path.is_file()]
    assert sorted(pair for pair in after if not pair[0].name.endswith(".lock")) == before


def test_a_key_that_is_not_the_plans_is_refused(job: Job) -> None:
    perform(job, None, Work(job))
    changed = replace(job, identity=Made({"size": 4}))
    with pytest.raises(UserError, match=r"settings\.size is 3, the plan has 4; start again"):
        perform(changed, job.key, Work(changed))
    with pytest.raises(UserError, match="settings or code have changed; start again"):
        perform(changed, "0" * 16, Work(changed))


def test_own_removes_what_another_key_left_and_nothing_else(tmp_path: Path) -> None:
    own(tmp_path / "x", "crops", "a", ("*.bin",))
    for name in ("shard.bin", "notes.txt"):
        (tmp_path / "x" / name).write_text("")
    own(tmp_path / "x", "crops", "a", ("*.bin",))
    assert (tmp_path / "x" / "shard.bin").exists()
    own(tmp_path / "x", "crops", "b", ("*.bin",))
    assert sorted(path.name for path in (tmp_path / "x").iterdir()) == [OWNER, "notes.txt"]


def test_a_step_that_was_killed_while_it_named_its_folder_goes_on(job: Job) -> None:
    job.folder.mkdir()
    half = job.folder / f".{OWNER}.123.tmp"  # as files.atomic names it
    half.write_text("cura")
    assert perform(job, None, Work(job)) is True
    assert not half.exists()
    other = job.folder.with_name("other")
    other.mkdir()
    (other / half.name).write_text("cura")
    (other / "precious.txt").write_text("precious")
    with pytest.raises(UserError, match="not made by siamla"):
        own(other, "curate", "k")


def test_half_a_file_in_the_working_folder_is_not_published(job: Job, tmp_path: Path) -> None:
    write_text(tmp_path / "state/deep/one.txt", "one")
    (tmp_path / "state/deep/.two.txt.123.tmp").write_text("tw")
    publish(tmp_path / "state", job)
    assert [path.name for path in job.folder.rglob("*") if path.is_file()] == ["one.txt"]


def test_publishing_replaces_the_files_of_the_result_before_and_keeps_the_users(
    job: Job, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    perform(job, None, Work(job))
    (job.folder / "notes.txt").write_text("mine")
    (state / "deep").mkdir(parents=True)
    (state / OWNER).write_text("curate k\n")
    (state / "deep" / "new.txt").write_text("new")
    publish(state, job)
    left = {
        path.relative_to(job.folder).as_posix() for path in job.folder.rglob("*") if path.is_file()
    }
    assert left == {OWNER, "notes.txt", "deep/new.txt", "stamp"}
    assert (
        state / "deep" / "new.txt"
    ).exists()  # until the record is written, a kill costs nothing


def test_jobs_of_one_identity_keep_their_unfinished_work_apart(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ordinary prediction, say, and the point of a sweep with the plan's own value, which may
    run at once.
    """
    monkeypatch.chdir(tmp_path)
    other = replace(job, folder=job.folder.with_name("other"))
    record = {"step": job.step, "key": job.key, "inputs": {}, "place": {}}
    assert state_of(job, record) == state_of(job, record) != state_of(other, record)


def test_a_full_disk_while_publishing_is_told_of_the_file_that_was_to_be(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(source: Path, target: Path) -> None:
        target.write_text("hal")
        raise OSError(errno.ENOSPC, "No space left on device", str(source))

    monkeypatch.setattr("shutil.copyfile", full)
    write_text(tmp_path / "state/one.txt", "half")
    with pytest.raises(UserError, match=re.escape(f"{job.folder / 'one.txt'}: the disk is full")):
        publish(tmp_path / "state", job)
    assert not list(job.folder.iterdir())


def test_half_a_file_of_a_killed_process_goes_and_a_users_stays(job: Job) -> None:
    perform(job, None, Work(job))
    for name in (".record.json.4711.tmp", "notes.tmp"):
        (job.folder / name).write_text("half")
    assert perform(job, None, Work(job)) is False
    assert {path.name for path in job.folder.iterdir()} == {
        OWNER,
        "file.txt",
        "notes.tmp",
        "record.json",
        "stamp",
    }


def test_work_that_can_be_taken_up_again_goes_when_the_record_is_written_and_not_before(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = tmp_path / "state"
    state.mkdir()
    plain = Work(job)

    def work(record: dict[str, Any]) -> Outcome:
        return replace(plain(record), state=state)

    def killed(path: Path, value: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("siamla.steps.perform.write_json", killed)
        with pytest.raises(KeyboardInterrupt):
            perform(job, None, work)
    assert state.is_dir()
    perform(job, None, work)
    assert not state.exists()
