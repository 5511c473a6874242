"""Waiting for what a killed pipeline left on a cluster; `squeue` is a script here."""

from pathlib import Path

import pytest

from siamla.errors import UserError
from siamla.steps.cluster import LOGS, TRIES, wait_for_jobs


@pytest.fixture
def squeue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A squeue that prints a line of the file `answers` at each call, and then nothing; or fails as
    `fails` says. A semicolon ends a job.
    """
    script = tmp_path / "squeue"
    script.write_text(f"""#!/bin/sh
cd '{tmp_path}'
echo "$@" >> calls
if [ -f fails ]; then cat fails >&2; exit 1; fi
head -1 answers | tr ';' '\\n'
sed -i 1d answers
""")
    script.chmod(0o755)
    (tmp_path / "answers").write_text("")
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.chdir(tmp_path)
    LOGS.mkdir(parents=True)
    return tmp_path


def test_it_waits_until_none_of_this_folders_jobs_is_left(
    squeue: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Running or waiting; not of another profile, another clone, or another program."""
    ours = [
        f"12|siamla_5|rule_track_predict_score|{squeue}",
        f"13|siamla_5|rule_train_wildcards_mini_siamla_1|{squeue}",
    ]
    others = [
        f"14|siamla_5|rule_train_wildcards_mini2_siamla_1|{squeue}",
        "15|siamla_5|rule_train_wildcards_mini_siamla_1|/somewhere/else",
        f"16|other|rule_train_wildcards_mini_siamla_1|{squeue}",
    ]
    answers = [";".join([*ours, *others]), ";".join([ours[1], *others]), ";".join(others)]
    (squeue / "answers").write_text("\n".join(answers) + "\n")
    assert wait_for_jobs("mini", every=0.01)
    assert len((squeue / "calls").read_text().splitlines()) == 3
    said = capsys.readouterr().out
    told = "Waiting for 2 jobs of an earlier run on the cluster: 12, 13; scancel ends them\n"
    assert said == told


def test_a_silent_slurm_is_told(squeue: Path) -> None:
    (squeue / "fails").write_text("slurm_load_jobs error: Unable to contact slurm controller")
    with pytest.raises(
        UserError, match=r"squeue does not answer \(slurm_load_jobs error.*still run is unknown"
    ):
        wait_for_jobs("mini", every=0.01)
    assert len((squeue / "calls").read_text().splitlines()) == TRIES


def test_who_submitted_nothing_does_not_ask(squeue: Path) -> None:
    LOGS.rmdir()
    (squeue / "fails").write_text("no controller")
    assert not wait_for_jobs("mini")


def test_away_from_a_cluster_nobody_is_asked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not wait_for_jobs("mini")
    assert capsys.readouterr().out == ""
