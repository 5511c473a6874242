"""A line for damaged input and for what the machine refuses, a trace for our faults."""

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from siamla.cli import plan
from siamla.cli.guard import explain, in_hand
from siamla.cli.main import main
from siamla.data.curate import remembered
from siamla.errors import UserError
from siamla.files import parsed_by, read_json, regular
from siamla.parallel import in_parallel


def command(
    monkeypatch: pytest.MonkeyPatch, work: Callable[[argparse.Namespace], None]
) -> list[str]:
    """A command that does `work` in place of its own."""
    monkeypatch.setattr(plan, "run", work)
    return ["plan"]


def test_what_the_machine_refuses_is_a_line_with_the_file_and_our_place(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / ("x" * 300)
    assert main(command(monkeypatch, lambda args: read_json(path))) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"siamla: error: {path}: File name too long (siamla/files.py, line ")
    assert said.count("\n") == 1
    assert "Traceback" not in said


def test_a_machine_without_shared_memory_is_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where /dev/shm cannot be written, the system names no file."""

    def refused(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("multiprocessing.synchronize._multiprocessing.SemLock", refused)
    with pytest.raises(PermissionError) as caught:
        list(in_parallel(abs, range(2), 2, "count"))
    assert str(explain(caught.value)).startswith("/dev/shm: Permission denied; several processes")


def test_damage_names_the_file_that_was_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "checked.jsonl"
    path.write_bytes(b"\xff\xfe")
    assert main(command(monkeypatch, lambda args: setattr(args, "memory", remembered(path)))) == 2
    said = capsys.readouterr().err
    assert f"siamla: error: {path}: cannot be read: 'utf-8' codec" in said


@pytest.mark.parametrize(
    "kind", [ValueError, KeyError, TypeError, AssertionError, IndexError, RuntimeError]
)
def test_a_fault_of_ours_keeps_its_trace(
    monkeypatch: pytest.MonkeyPatch, kind: type[Exception]
) -> None:
    def work(args: argparse.Namespace) -> None:
        raise kind("a fault")

    with pytest.raises(kind, match="a fault"):
        main(command(monkeypatch, work))


def test_a_fault_of_ours_tells_which_file_was_in_hand(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "x.json"
    path.write_text("{}")
    monkeypatch.setattr(json, "loads", lambda text, **_: {}["missing"])
    with pytest.raises(KeyError) as caught:
        main(command(monkeypatch, lambda args: read_json(path)))
    assert in_hand(caught.value) == path
    assert caught.value.__notes__ == [f"siamla was working on {path}"]
    assert explain(caught.value) is None


def test_whatever_a_parser_raises_names_the_file(tmp_path: Path) -> None:
    for error in (IndexError("x"), OverflowError(), AttributeError("a\nb")):
        said = f"^y.mat: scipy cannot read it as a .mat file .{type(error).__name__}"
        with pytest.raises(UserError, match=said), parsed_by("scipy", Path("y.mat"), "a .mat file"):
            raise error
    with pytest.raises(MemoryError), parsed_by("scipy", Path("y.mat"), "a .mat file"):
        raise MemoryError
    assert regular(tmp_path / "nothing") == tmp_path / "nothing"
