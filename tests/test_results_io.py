"""Raw results in and out: import of four formats, submissions, the command line."""

import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from siamla.benchmark import store
from siamla.benchmark.importing import import_results
from siamla.benchmark.onepass import Track
from siamla.benchmark.submission import SERVERS
from siamla.cli.main import main
from siamla.errors import UserError
from siamla.experiment.plan import Plan
from siamla.files import read_json
from siamla.miniatures.dataset import WRITERS
from siamla.sequence import Sequence
from siamla.steps.compare import compare

ROWS = np.array([[4.0, 5, 10, 12], [5, 6, 10, 12], [6, 7, 10, 12]])
TEXT = "5,6,10,12\n6,7,10,12\n7,8,10,12\n"  # the same in OTB's files, which count from 1


def boxes(folder: Path, name: str, layout: str) -> np.ndarray:
    return store.read_boxes(folder, name, layout)


def flat(folder: Path, files: dict[str, str]) -> Path:
    """A folder of text files."""
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name).write_text(content)
    return folder


def test_pysot_text(tmp_path: Path) -> None:
    files = {
        "jogging-1.txt": TEXT,
        "Human4-2.txt": TEXT.replace(",", "\t"),
        "Human4-2_time.txt": "0.1\n0.1\n0.2\n",
        "Human4-2_confidence.txt": "nan\n0.5\n0.25\n",
    }
    out = tmp_path / "out/other"
    assert import_results(flat(tmp_path / "in", files), out, "otb") == ["Human4.2", "Jogging.1"]
    np.testing.assert_array_equal(boxes(out, "Human4.2", "otb"), ROWS)
    assert store.read_seconds(out, "Jogging.1", "otb") is None
    assert store.read_confidence(out, "Jogging.1", "otb") is None
    confidence = store.read_confidence(out, "Human4.2", "otb")
    np.testing.assert_array_equal(confidence, [np.nan, 0.5, 0.25])
    seconds = store.read_seconds(out, "Human4.2", "otb")
    np.testing.assert_allclose(seconds, [[0.1], [0.1], [0.2]])  # type: ignore[arg-type]
    assert list(out.parent.iterdir()) == [out]  # no scratch is left


def test_what_is_of_no_known_sequence_is_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A README, scores of another kind and results of other sequences, beside those of the data."""
    stray = {"README.txt": "by hand\n", "Deer_object_presence_scores.txt": "0.9\n0.8\n0.7\n"}
    source = flat(tmp_path / "in", {"Deer.txt": TEXT, "atv-1.txt": "1,2\n", **stray})
    WRITERS["otb"].write(
        tmp_path / "otb",
        Sequence("Deer", tuple(map(Path, "abc")), ROWS, np.ones(3, bool)),
        [b""] * 3,
    )
    command = ["results", "import", str(source), "--benchmark", "otb100", "--as", "kcf", "--out"]
    assert main([*command, str(tmp_path / "a"), "--data", str(tmp_path / "otb")]) == 0
    said = capsys.readouterr()
    assert "3 results are of no sequence of the data and were left out, first" in said.err
    assert "Deer_object_presence_scores.txt, README.txt, atv-1.txt" in said.err
    assert "a/kcf: 1 sequences of otb100" in said.out
    assert [path.name for path in (tmp_path / "a/kcf").iterdir()] == ["Deer.txt"]
    assert main([*command, str(tmp_path / "b")]) == 2  # nothing says what is a sequence
    assert "found '0.9', expected 4 numbers" in capsys.readouterr().err
    for name in ("bag", "ball"):
        flat(tmp_path / "vot/baseline" / name, {f"{name}_001.txt": "1\n"})
    assert import_results(tmp_path / "vot", tmp_path / "c", "vot", ["bag"]) == ["bag"]
    assert "1 results are of no sequence of the data" in capsys.readouterr().err
    many = flat(tmp_path / "many", {f"video{number}.txt": TEXT for number in range(101)})
    assert main([*command[:2], str(many), *command[3:], str(tmp_path / "d")]) == 0
    assert "101 results, but otb100 has 100 sequences; --data" in capsys.readouterr().err


def test_got10k_folders_from_a_zip(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "other.zip"
    with zipfile.ZipFile(path, "w") as target:
        for number in (1, 2):
            rows = "4,5,10,12\n5,6,10,12\n6,7,10,12\n"
            target.writestr(f"other/seq/seq_{number:03d}.txt", rows)
        target.writestr("other/seq/seq_time.txt", "0.1,0.2\n0.1,0.2\n0.1,0.2\n")
    command = ["results", "import", str(path), "--benchmark", "got10k", "--as", "out"]
    assert main([*command, "--out", str(tmp_path)]) == 0
    said = "out: 1 sequences of got10k, 2 repetitions of each, all of which are averaged\n"
    assert said in capsys.readouterr().out
    assert store.repetitions(tmp_path / "out", "seq", "got10k") == [1, 2]
    np.testing.assert_array_equal(boxes(tmp_path / "out", "seq", "got10k"), ROWS)
    seconds = store.read_seconds(tmp_path / "out", "seq", "got10k")
    np.testing.assert_allclose(seconds, [[0.1, 0.2]] * 3)  # type: ignore[arg-type]


@pytest.mark.parametrize("inner", ["", "baseline"])
def test_vot_baseline(tmp_path: Path, inner: str) -> None:
    """The folder above baseline/, or that itself."""
    folder = tmp_path / "other/baseline/bag"
    folder.mkdir(parents=True)
    (folder / "bag_001.txt").write_text("1\n1,2,3,4\n0,0,9,0,9,9,1,9\n2\n0\n")
    assert import_results(tmp_path / "other" / inner, tmp_path / "out", "vot") == ["bag"]
    copied = (tmp_path / "out/baseline/bag/bag_001.txt").read_text().splitlines()
    assert copied[:2] == ["1", "1,2,3,4"]
    assert copied[2].count(",") == 7
    assert copied[3:] == ["2", "0"]


@pytest.fixture
def to_submit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], list[str]]:
    """Predictions p of two sequences of three frames and their test set d; `submit` in words."""

    def make(server: str) -> list[str]:
        monkeypatch.setitem(SERVERS, server, SERVERS[server]._replace(sequences=2))
        image = cv2.imencode(".jpg", np.full((40, 40, 3), 90, np.uint8))[1].tobytes()
        for name in "ab":
            sequence = Sequence(name, tuple(map(Path, "xyz")), ROWS, np.ones(3, bool))
            WRITERS[server].write(tmp_path / "d", sequence, [image] * 3)
            store.write_track(tmp_path / "p", name, Track(ROWS, np.full(3, 0.01)), server)
        WRITERS[server].finish(tmp_path / "d", "ab")
        folders = ["--predictions", str(tmp_path / "p"), "--data", str(tmp_path / "d")]
        return ["results", "submit", server, *folders, "--out", str(tmp_path / "s.zip")]

    return make


@pytest.mark.parametrize(
    ("server", "files", "box"),
    [
        ("got10k", ["%s/%s_001.txt", "%s/%s_time.txt"], "4.000,5.000,10.000,12.000"),
        ("trackingnet", ["%s.txt"], "4.0,5.0,10.0,12.0"),
    ],
)
def test_a_submission(
    server: str,
    files: list[str],
    box: str,
    tmp_path: Path,
    to_submit: Callable[[str], list[str]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    command, out = to_submit(server), tmp_path / "s.zip"
    assert main(command) == 0
    assert f"2 sequences, ready for the {server} server" in capsys.readouterr().out
    first = out.read_bytes()
    with zipfile.ZipFile(out) as packed:
        expected = [file.replace("%s", name) for name in "ab" for file in files]
        assert sorted(packed.namelist()) == expected
        assert packed.read(expected[0]).decode().splitlines()[0] == box
        if server == "got10k":
            assert packed.read("a/a_time.txt").splitlines() == [b"0.01000000"] * 3
    assert main([*command, "--overwrite"]) == 0
    assert out.read_bytes() == first


def damage(name: str, content: str) -> Callable[[Path], object]:
    return lambda folder: (folder / "p/a" / name).write_text(content)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (damage("a_001.txt", "1,2,3,4\n"), "a_001.txt: 1 rows, but the sequence has 3 frames"),
        (damage("a_001.txt", "1,2,3,4\n1,2,3\n1,2,3,4\n"), "a_001.txt, line 2"),
        (damage("a_001.txt", "1,2,3,4\n1,2,nan,4\n1,2,3,4\n"), "expected a box with an area"),
        (damage("a_001.txt", "1,2,3,4\n1,2,3,4\n1,2,0,4\n"), "a_001.txt, line 3: [1.0, 2.0, 0.0"),
        (damage("a_time.txt", "1\n1\n"), "a_time.txt: (2, 1) times, expected (3, 1)"),
        (damage("a_time.txt", "1\n-1\n1\n"), "a_time.txt: a time is negative"),
        (lambda folder: (folder / "p/a/a_time.txt").unlink(), "a_time.txt: not found"),
        (damage("a_001.txt", ""), "no predictions for 1 sequences, first 'a'"),
    ],
)
def test_bad_submissions_write_nothing(
    change: Callable[[Path], object],
    said: str,
    tmp_path: Path,
    to_submit: Callable[[str], list[str]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    command = to_submit("got10k")
    change(tmp_path)
    assert main(command) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "s.zip").exists()


def test_import_by_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = {"Deer.txt": TEXT, "a.txt": "5,6,10,12\nnan,nan,nan,nan\n7,8,inf,12\n"}
    source, out = flat(tmp_path / "source", files), tmp_path / "out"
    command = ["results", "import", str(source), "--out", str(out), "--benchmark", "otb100"]
    assert main([*command, "--as", "kcf"]) == 0
    said = capsys.readouterr()
    assert "2 sequences of otb100" in said.out
    lost = "warning: 1 boxes of 1 sequences are nan, first a; they are scored as misses"
    assert lost in said.err
    assert "1 boxes of 1 sequences are infinite, first a; they are scored as misses" in said.err
    np.testing.assert_array_equal(boxes(out / "kcf", "Deer", "otb"), ROWS)
    entry = yaml.safe_load(said.out[said.out.index("imported:") :])
    results = {"otb100": (out / "kcf").as_posix()}
    assert entry == {"imported": {"kcf": {"label": "kcf", "results": results}}}


def test_an_import_replaces_an_import_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, out = flat(tmp_path / "source", {"Deer.txt": TEXT, "Dog.txt": TEXT}), tmp_path / "out"
    command = ["results", "import", str(source), "--out", str(out), "--benchmark", "otb100"]
    command += ["--as", "kcf"]
    assert main(command) == 0
    (source / "Dog.txt").unlink()
    (source / "Deer.txt").write_text("1,2\n")
    assert main([*command, "--overwrite"]) == 2
    assert len(list((out / "kcf").iterdir())) == 2  # nothing was taken away
    (source / "Deer.txt").write_text(TEXT)
    assert main([*command, "--overwrite"]) == 0
    assert [path.name for path in (out / "kcf").iterdir()] == ["Deer.txt"]
    (out / "kcf/notes.md").write_text("mine")
    assert main([*command, "--overwrite"]) == 2
    assert "notes.md: no import wrote it" in capsys.readouterr().err


PROFILE = """
caption: "Data: one clip."
train: {mine: {layout: got10k, root: mine}}
benchmarks: {otb100: {layout: otb, root: otb}}
imported:
  kcf: {label: KCF, results: {otb100: imported/kcf}}
  noise: {label: Noise, results: {otb100: runs/noise}}
seeds: [1]
variants: [siamcar]
tables: [3]
spec: {pairs: {dataset: mine}}
"""


def test_imported_results_become_a_score_file(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    model_file: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Results of another tracker, and a run of a model file by hand."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(Path(__file__).parents[1] / "params", tmp_path / "params")
    (tmp_path / "params/profiles/own.yaml").write_text(PROFILE)
    image = cv2.imencode(".jpg", np.full((40, 40, 3), 90, np.uint8))[1].tobytes()
    deer = Sequence("Deer", tuple(map(Path, "abc")), ROWS, np.ones(3, bool))
    WRITERS["otb"].write(Path("otb"), deer, [image] * 3)
    import_results(flat(Path("source"), {"Deer.txt": TEXT}), Path("imported/kcf"), "otb")
    commands = ["data fetch otb100", "data curate otb100", "results score otb100 kcf"]
    assert [main([*words.split(), "--profile", "own"]) for words in commands] == [0, 0, 0]
    folder = Path("results/own/scores/otb100/imported/kcf")
    (path,) = folder.glob("record-*.json")
    scores, record = read_json(folder / "score.json"), read_json(path)
    assert scores["overall"]["auc"] == pytest.approx(20 / 21)
    assert scores["speed"] == {}  # no times came with the results
    Path("imported/kcf/Deer.txt").write_text(TEXT.replace("5", "6"))
    assert main(["results", "score", "otb100", "kcf", "--profile", "own"]) == 0
    assert read_json(path)["inputs"]["predictions"] != record["inputs"]["predictions"]
    cut = PROFILE.replace("root: otb}", "root: otb, frames: 2}")
    (tmp_path / "params/profiles/cut.yaml").write_text(cut)
    done = [main([*words.split(), "--profile", "cut"]) for words in commands]
    assert done == [0, 0, 2]
    said = capsys.readouterr().err
    assert "3 rows, but the annotation has 2; `frames: 2` of the profile keeps the first" in said
    with pytest.raises(UserError, match="kcf: imported results have no settings and seeds"):
        compare(Plan.load("own"), "siamcar", "kcf")
    by_hand = ["benchmark", "run", str(model_file), "--layout", "otb", "--root", "otb"]
    assert main([*by_hand, "--out", "runs/noise"]) == 0
    assert main(["results", "score", "otb100", "noise", "--profile", "own"]) == 0
    scores = read_json(folder.with_name("noise") / "score.json")
    run = read_json(Path("runs/noise/run.json"))
    assert scores["overall"] == run["scores"]
    assert scores["speed"]["fps"] == run["speed"]["fps"]
