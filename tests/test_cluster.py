"""Waiting for what a killed pipeline left on a cluster; `squeue` is a script here."""

from pathlib import Path

import pytest

from siamla.errors import UserError
from siamla.steps.cluster import queued, wait_for


@pytest.fixture
def squeue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A squeue that prints a line of the file `answers` at each call, and then nothing; or fails as
    `fails` says.
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
    return tmp_path


def test_it_waits_until_none_of_the_jobs_is_left(
    squeue: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (squeue / "answers").write_text("12 12;13 13;99 99\n13 13;99 99\n99 99\n")
    wait_for(["12", "13", "14"], every=0.01)
    assert len((squeue / "calls").read_text().splitlines()) == 3
    said = capsys.readouterr().out
    assert (
        said == "Waiting for 2 jobs of an earlier run on the cluster: 12, 13; scancel ends them\n"
    )


def test_a_task_of_an_array_is_known_by_both_its_numbers(squeue: Path) -> None:
    (squeue / "answers").write_text("40_3 43\n40_3 43\n")
    assert queued(["43"]) == ["43"]
    assert queued(["40_3"]) == ["40_3"]


def test_without_jobs_nobody_is_asked(squeue: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wait_for([])
    assert not (squeue / "calls").exists()
    assert capsys.readouterr().out == ""


def test_a_silent_slurm_is_told(squeue: Path) -> None:
    (squeue / "fails").write_text("slurm_load_jobs error: Unable to contact slurm controller")
    with pytest.raises(
        UserError, match=r"squeue does not answer \(slurm_load_jobs error.*still run is unknown"
    ):
        wait_for(["12"])


def test_away_from_a_cluster_nothing_is_left(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert queued(["12"]) == []
