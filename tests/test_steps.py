"""What every step does around its work: whose folder it is, what is there, what is recorded."""

import errno
import json
import os
import re
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from siamla.errors import UserError
from siamla.experiment.job import Identity, Job
from siamla.experiment.plan import Plan
from siamla.files import sha256, write_text
from siamla.steps.decision import reasons
from siamla.steps.perform import OWNER, Means, Outcome, hashed, own, perform, publish, state_of

PLAN: Any = None  # what these works do not ask


def sized(size: int) -> Identity:
    return Identity("curate", {"settings": {"size": size}, "code": "c"})


def job_in(folder: Path, size: int = 3, **more: Any) -> Job:
    dataset = folder.name
    return Job(
        identity=sized(size),
        names={"profile": "p", "dataset": dataset},
        folder=folder,
        command=f"siamla data curate {dataset} --profile p",
        title=f"curate {dataset}",
        entry="curate",
        **more,
    )


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return job_in(tmp_path / "out")


class Work:
    """Work that writes one file, and counts how often it was done."""

    def __init__(self, text: str = "result") -> None:
        self.text, self.calls = text, 0

    def __call__(self, plan: Plan, job: Job, record: dict[str, Any], means: Means) -> Outcome:
        self.calls += 1
        own(job.folder, job.step, job.key)
        write_text(job.folder / "file.txt", self.text)
        return Outcome(sha256(job.folder / "file.txt"), hashed(job.folder, ["file.txt"]))


def done(job: Job, work: Callable[..., Outcome] | None = None, key: str | None = None) -> bool:
    return perform(PLAN, job, key, work=work or Work())


def contents(folder: Path) -> dict[Path, bytes]:
    """All files but locks."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock")
    return {path: path.read_bytes() for path in files}


def test_a_result_that_belongs_to_the_plan_is_not_made_again(job: Job) -> None:
    work = Work()
    assert done(job, work) is True
    written = job.record_path.read_text()
    assert done(job, work, job.key) is False
    assert (work.calls, job.record_path.read_text()) == (1, written)
    assert json.loads(written)["identity"] == job.identity.plain
    assert job.record_path.name == f"record-{job.key}.json"


def test_a_result_of_other_settings_is_made_again_in_its_place(job: Job) -> None:
    done(job)
    other = replace(job, identity=sized(4))
    assert reasons([other]) == {job.folder: ["settings.size is 3, the plan has 4"]}
    assert done(other, Work("other")) is True
    assert reasons([other]) == {job.folder: []}
    assert not job.record_path.exists()
    assert done(job) is True  # and back: what is not there is made


@pytest.mark.parametrize(
    ("harm", "said"),
    [("missing", "file.txt is missing"), ("changed", "file.txt has changed since it was made")],
)
def test_a_damaged_result_is_told_and_made_again(
    job: Job, harm: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """By the command alone: what stands in the files is no part of the decision."""
    done(job)
    file = job.folder / "file.txt"
    file.unlink() if harm == "missing" else file.write_text("damaged")
    assert reasons([job]) == {job.folder: []}
    assert done(job) is True
    assert f"{said}; it is made again" in capsys.readouterr().out
    assert file.read_text() == "result"
    assert done(job) is False


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "not valid JSON"),
        ("{}", "not a record of a result: no field 'step'"),
        (
            "renamed",
            "its identity is not that of key .*; delete it and run `siamla data curate out",
        ),
    ],
)
def test_a_damaged_record_is_one_line_and_nothing_is_touched(
    job: Job, text: str, said: str
) -> None:
    """A record that has the name of another's key is none of it."""
    if text == "renamed":
        other = replace(job, identity=sized(4))
        done(other)
        other.record_path.rename(job.record_path)
    else:
        done(job)
        job.record_path.write_text(text)
    before = contents(job.folder)
    for look in (done, job.__class__.record, lambda job: reasons([job])):
        with pytest.raises(UserError, match=said):
            look(job)
    assert contents(job.folder) == before


def test_a_parent_that_is_missing_or_changed(job: Job, tmp_path: Path) -> None:
    parent = job_in(tmp_path / "e", size=1)
    child = replace(job, parents={"data": parent})
    with pytest.raises(UserError, match="`siamla data curate e --profile p` comes first"):
        done(child)
    assert not child.folder.exists()
    done(parent, Work("one"))
    done(child)
    assert reasons([parent, child]) == {parent.folder: [], child.folder: []}
    parent.record_path.unlink()
    done(parent, Work("two"))
    assert reasons([parent, child])[child.folder] == ["data has other content"]
    assert done(child) is True


def test_what_another_clock_dated_in_the_future_is_dated_back(job: Job, tmp_path: Path) -> None:
    """Snakemake refuses a result that is older than what it is made from."""
    parent = job_in(tmp_path / "e")
    done(parent)
    later = time.time() + 1000
    os.utime(parent.record_path, (later, later))
    child = replace(job, parents={"data": parent})
    done(child)
    assert parent.record_path.stat().st_mtime <= child.record_path.stat().st_mtime


def test_what_is_made_from_a_result_that_is_made_anew_is_made_anew(
    job: Job, tmp_path: Path
) -> None:
    first, second = job_in(tmp_path / "e"), job_in(tmp_path / "f")
    chain = [first, replace(second, parents={"data": first})]
    chain.append(replace(job, parents={"data": chain[1]}))
    for each in chain:
        done(each)
    first.record_path.unlink()
    done(first, Work("two"))
    assert list(reasons(chain).values()) == [[], ["data has other content"], ["data is made anew"]]


@pytest.mark.parametrize("kind", ["folder", "file", "other step"])
def test_a_foreign_folder_is_refused_and_untouched(job: Job, kind: str) -> None:
    if kind == "file":
        write_text(job.folder, "precious")
    else:
        write_text(job.folder / "precious.txt", "precious")
    if kind == "other step":
        write_text(job.folder / OWNER, "train 0123\n")
    before = contents(job.folder.parent)
    with pytest.raises(UserError, match=r"not made by siamla|found a file|another step"):
        done(job)
    assert contents(job.folder.parent) == before


def test_a_key_that_is_not_the_plans_is_refused(job: Job) -> None:
    with pytest.raises(UserError, match="settings or code have changed; start again"):
        done(job, key=sized(4).key)


def test_own_removes_what_another_key_left_and_nothing_else(tmp_path: Path) -> None:
    own(tmp_path / "x", "crops", "a", ("*.bin",))
    for name in ("shard.bin", "notes.txt", "record-0123456789abcdef.json"):
        write_text(tmp_path / "x" / name, "")
    own(tmp_path / "x", "crops", "a", ("*.bin",))
    left = {path.name for path in (tmp_path / "x").iterdir()}
    assert left == {OWNER, "notes.txt", "shard.bin"}  # no record of files that are about to change
    own(tmp_path / "x", "crops", "b", ("*.bin",))
    assert {path.name for path in (tmp_path / "x").iterdir()} == left - {"shard.bin"}


def test_a_step_that_was_killed_while_it_named_its_folder_goes_on(job: Job) -> None:
    half = job.folder / f".{OWNER}.123.tmp"  # as files.atomic names it
    write_text(half, "cura")
    assert done(job) is True
    assert not half.exists()
    other = job.folder.with_name("other")
    for name in (half.name, "precious.txt"):
        write_text(other / name, "")
    with pytest.raises(UserError, match="not made by siamla"):
        own(other, "curate", "k")


def test_publishing_replaces_the_files_of_the_result_before_and_keeps_the_users(
    job: Job, tmp_path: Path
) -> None:
    """Half a file of a killed process is not published."""
    state = tmp_path / "state"
    done(job)
    write_text(job.folder / "notes.txt", "mine")
    for name in (OWNER, "deep/new.txt", "deep/.two.txt.123.tmp"):
        write_text(state / name, "new")
    publish(state, replace(job, identity=sized(4)))
    files = {path.relative_to(job.folder).as_posix() for path in contents(job.folder)}
    assert files == {OWNER, "notes.txt", "deep/new.txt"}
    assert (state / "deep/new.txt").exists()  # until the record is written, a kill costs nothing


def test_jobs_of_one_identity_keep_their_unfinished_work_apart(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of a prediction and of the point of a sweep with the plan's own value."""
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
    assert [path.name for path in job.folder.iterdir()] == [OWNER]


def test_half_a_file_of_a_killed_process_goes_and_a_users_stays(job: Job) -> None:
    done(job)
    for name in (f".{job.record_path.name}.4711.tmp", "notes.tmp"):
        write_text(job.folder / name, "half")
    assert done(job) is False
    left = {path.name for path in job.folder.iterdir()}
    assert left == {OWNER, "file.txt", "notes.tmp", job.record_path.name}


def test_work_that_can_be_taken_up_again_goes_when_the_record_is_written_and_not_before(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = tmp_path / "state"
    state.mkdir()

    def work(*arguments: Any) -> Outcome:
        return replace(Work()(*arguments), state=state)

    def killed(path: Path, value: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("siamla.steps.perform.write_json", killed)
        with pytest.raises(KeyboardInterrupt):
            done(job, work)
    assert state.is_dir()
    done(job, work)
    assert not state.exists()
