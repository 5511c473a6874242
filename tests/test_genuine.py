"""The genuine forms: official folders with their quirks, result files as trackers write them, the
toolkits' rules.
"""

import io
import shutil
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest

from siamla.benchmark import store
from siamla.benchmark.importing import import_results
from siamla.benchmark.onepass import Track
from siamla.benchmark.protocols import load_protocols, score_rules
from siamla.benchmark.score import score
from siamla.benchmark.submission import SERVERS, submit
from siamla.data.crops import usable_frames
from siamla.data.curate import curate, load_curated, warnings
from siamla.data.formats import LAYOUTS, text
from siamla.errors import UserError
from siamla.miniatures.dataset import WRITERS
from siamla.sequence import Sequence

PROTOCOLS = load_protocols(Path(__file__).parents[1] / "params" / "protocols.yaml")
GREY = cv2.imencode(".jpg", np.full((60, 80), 128, np.uint8))[1].tobytes()
BOX = "10,8,20,16"
LATER = "11,9,20,16"  # the same in files that count from 1
HIT = 20 / 21  # the AUC of exact boxes where no overlap exceeds the threshold 1


def pictures(folder: Path, numbers: Iterable[int], form: str = "%04d.jpg") -> None:
    folder.mkdir(parents=True)
    for number in numbers:
        (folder / (form % number)).write_bytes(GREY)


def annotate(path: Path, rows: list[str], end: str = "\n") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(row + end for row in rows), newline="")


def still(name: str, count: int, **more: Any) -> Sequence:
    return Sequence(name, (), np.array([[10.0, 8, 20, 16]] * count), np.ones(count, bool), **more)


@pytest.fixture(autouse=True)
def no_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("siamla.benchmark.score.image_size", lambda sequence: (80, 60))


def overall(key: str, folder: Path, *sequences: Sequence) -> dict[str, Any]:
    return score(sequences, folder, PROTOCOLS[key]).overall


# -- folders --


@pytest.mark.parametrize(
    ("video", "images", "rows", "first", "last"),
    [
        ("David", range(1, 771), 471, "0300", "0770"),
        ("Football1", range(1, 75), 74, "0001", "0074"),
        ("Freeman3", range(1, 461), 460, "0001", "0460"),
        ("Freeman4", range(1, 284), 283, "0001", "0283"),
        ("Diving", range(1, 232), 215, "0001", "0215"),
        ("BlurCar1", range(247, 989), 742, "0247", "0988"),
        ("BlurCar3", range(3, 360), 357, "0003", "0359"),
        ("BlurCar4", range(18, 398), 380, "0018", "0397"),
        ("Tiger1", range(1, 355), 354, "0006", "0354"),
        ("Tiger1", range(1, 355), 349, "0006", "0354"),
        ("Tiger1", range(6, 355), 349, "0006", "0354"),
        ("Tiger1", range(6, 355), 354, "0006", "0354"),
    ],
)
def test_otb_numbers_frames_as_its_web_page_does(
    tmp_path: Path, video: str, images: range, rows: int, first: str, last: str
) -> None:
    pictures(tmp_path / video / "img", images)
    annotate(tmp_path / video / "groundtruth_rect.txt", [f"{10 + i},8,20,16" for i in range(rows)])
    sequence = LAYOUTS["otb"].read(tmp_path, video)
    assert [sequence.frames[0].stem, sequence.frames[-1].stem] == [first, last]
    assert len(sequence) == len(sequence.boxes) == int(last) - int(first) + 1
    # the last row is the last frame's, and counted from 0
    assert sequence.boxes[-1, 0] == 9 + rows - 1


def test_otb_names_and_delimiters(tmp_path: Path) -> None:
    pictures(tmp_path / "Board/img", range(1, 13), "%05d.jpg")
    annotate(tmp_path / "Board/groundtruth_rect.txt", [BOX] * 11 + ["0,0,0,0"], "\r\n")
    for video, first in (("Jogging", BOX), ("Skating2", BOX), ("Human4", "")):
        pictures(tmp_path / video / "img", range(1, 4))
        tabs = [first.replace(",", "\t")] * 3 if first else []
        annotate(tmp_path / video / "groundtruth_rect.1.txt", tabs)
        annotate(tmp_path / video / "groundtruth_rect.2.txt", [BOX] * 3)
    names = LAYOUTS["otb"].names(tmp_path)
    assert names == ["Board", "Human4.2", "Jogging.1", "Jogging.2", "Skating2.1", "Skating2.2"]
    for name in names:
        sequence = LAYOUTS["otb"].read(tmp_path, name)
        assert len(sequence) == len(sequence.boxes)
        assert sequence.boxes[0].tolist() == [9, 7, 20, 16]
    assert LAYOUTS["otb"].read(tmp_path, "Board").frames[9].stem == "00010"


def test_frames_without_a_box_are_counted_and_never_trained_on(tmp_path: Path) -> None:
    pictures(tmp_path / "otb/Twinnings/img", range(1, 7))
    annotate(tmp_path / "otb/Twinnings/groundtruth_rect.txt", [BOX] * 5 + ["0,0,0,0"])
    report = curate(tmp_path / "otb", "otb", "otb100", tmp_path / "out")
    assert report["without_box"] == {"Twinnings": 1}
    assert (report["rejected"], report["boxes_known"]) == (0, 5)
    said = "1 frames without a valid box (Twinnings 1)"
    assert any(said in line for line in warnings(report))
    (sequence,) = load_curated(tmp_path / "out")
    assert sequence.boxes[5].tolist() == [-1, -1, 0, 0]
    assert sequence.visible.all()
    assert sequence.valid.tolist() == [True] * 5 + [False]
    assert usable_frames(sequence, None).tolist() == [0, 1, 2, 3, 4]


def test_what_no_protocol_has_a_rule_for_is_rejected(tmp_path: Path) -> None:
    """Infinity, a box outside the image, and nothing to start on."""
    pictures(tmp_path / "otb/Deer/img", range(1, 4))
    for bad, frame in (("inf,8,20,16", 2), ("900,8,20,16", 2), ("0,0,0,0", 1)):
        rows = [BOX] * 3
        rows[frame - 1] = bad
        annotate(tmp_path / "otb/Deer/groundtruth_rect.txt", rows)
        with pytest.raises(UserError, match=f"Deer: box of frame {frame}"):
            curate(tmp_path / "otb", "otb", "otb100", tmp_path / "out")


def test_a_layout_accepts_rows_without_a_box_where_its_protocol_scores_them() -> None:
    for protocol in PROTOCOLS.values():
        ruled = protocol.onepass is not None and protocol.onepass.valid_truth != "any"
        assert ruled == LAYOUTS[protocol.layout].EMPTY_TRUTH


def test_lasot_absent_frames(tmp_path: Path) -> None:
    """Labels in one line; a `0,0,0,0` may be marked absent or, as in tiger-6, not."""
    folder = tmp_path / "lasot/tiger/tiger-6"
    pictures(folder / "img", range(1, 6), "%08d.jpg")
    annotate(folder / "groundtruth.txt", [BOX, BOX, "0,0,0,0", "0,0,0,0", BOX])
    (folder / "full_occlusion.txt").write_text("0,0,0,1,0")
    (folder / "out_of_view.txt").write_text("0,0,0,0,0")
    report = curate(tmp_path / "lasot", "lasot", "lasot", tmp_path / "out")
    assert (report["absent"], report["without_box"]) == (1, {"tiger-6": 1})
    annotate(tmp_path / "p/tiger-6.txt", [BOX] * 5)
    # Three frames are exact, the unmarked one is a precision hit, and all curves divide by five.
    assert overall("lasot", tmp_path / "p", *load_curated(tmp_path / "out")) == pytest.approx(
        {"auc": 0.6 * HIT, "precision": 0.8, "norm_precision": 0.8}
    )


def test_lasot_extension_beside_the_test_set(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A class of training and test videos, and one of the extension."""
    for name in ("airplane-1", "airplane-2", "atv-1", "atv-2"):
        annotate(tmp_path / "both" / name.split("-")[0] / name / "groundtruth.txt", [BOX])
    lasot = LAYOUTS["lasot"]
    assert lasot.names(tmp_path / "both") == ["airplane-1"]
    said = "both: 2 sequences are not of LaSOT's 1400 and are left out, first atv-1"
    assert said in capsys.readouterr().err
    (tmp_path / "alone").mkdir()
    (tmp_path / "both/atv").rename(tmp_path / "alone/atv")
    assert lasot.names(tmp_path / "alone") == ["atv-1", "atv-2"]
    assert lasot.names(tmp_path / "both") == ["airplane-1"]
    assert not capsys.readouterr().err


def test_tnl2k_labels_past_the_last_row(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As in advSamp_monitor_bikeyellow: indexing by `labels == 1` ignores zeros past the end, and
    fails on a one there.
    """
    folder, labels = tmp_path / "advSamp_monitor_bikeyellow", tmp_path / "absent"
    pictures(folder / "imgs", (1, 2, 3), "%08d.png")
    annotate(folder / "groundtruth.txt", [BOX] * 3)
    path = labels / f"{folder.name}.txt"
    annotate(path, ["0", "1", "0", "0"])
    sequence = LAYOUTS["tnl2k"].read(tmp_path, folder.name)
    assert sequence.visible.tolist() == [True, False, True]
    said = f"{path}: 4 labels for 3 boxes; the zeros past the last box are ignored"
    assert said in capsys.readouterr().err
    annotate(tmp_path / "p" / path.name, [BOX] * 3)
    assert overall("tnl2k", tmp_path / "p", sequence)["auc"] == pytest.approx(2 / 3 * HIT)
    for rows in (["0", "1", "0", "1"], ["0", "1"]):
        annotate(path, rows)
        with pytest.raises(UserError, match=f"{len(rows)} labels for 3 boxes"):
            LAYOUTS["tnl2k"].read(tmp_path, folder.name)


@pytest.mark.parametrize("form", ["%05d.jpg", "%08d.jpg"])
def test_vot_numbers_and_got10k_cover(tmp_path: Path, form: str) -> None:
    pictures(tmp_path / "vot/bag/color", [9, 10, 100], form)
    annotate(tmp_path / "vot/bag/groundtruth.txt", ["1.5,2,3,4,5,6,7,8.25"] * 3)
    frames = LAYOUTS["vot"].read(tmp_path / "vot", "bag").frames
    assert [path.stem[-3:] for path in frames] == ["009", "010", "100"]
    pictures(tmp_path / "got/a", [1, 2, 3], "%08d.jpg")
    annotate(tmp_path / "got/a/groundtruth.txt", [f"{BOX}.0000"] * 3)
    annotate(tmp_path / "got/a/cover.label", ["8", "0", "1"])
    assert LAYOUTS["got10k"].read(tmp_path / "got", "a").visible.tolist() == [True, False, True]


# -- result files --


@pytest.mark.parametrize(
    "content",
    [
        b"1,2,3,4\n5,6,7,1e-03\n",
        b"1\t2\t3\t4\n5\t6\t7\t1e-03",
        b"1;2;3;4\r\n5;6;7;1E-3\r\n\r\n",
        b"\xef\xbb\xbf1 2  3 4\n5 6 7 +.001\n \n\n",
        b"1.000000000000000, 2, 3, 4\n5, 6, 7, 1.0000000000000000e-03\n",
    ],
)
def test_spellings_of_numbers(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "boxes.txt"
    path.write_bytes(content)
    np.testing.assert_array_equal(text.numbers(path, (4,)), [[1, 2, 3, 4], [5, 6, 7, 0.001]])


def test_spellings_of_nan_and_all_digits(tmp_path: Path) -> None:
    path = tmp_path / "boxes.txt"
    digits = "0.1234567890123456,123.4567890123456789,1e22,5e-324"
    path.write_text(f"nan,-nan(ind),NaN,1.#QNAN\n{digits}\n")
    lost, row = text.numbers(path, (4,))
    assert np.isnan(lost).all()
    assert row.tolist() == [0.1234567890123456, 123.4567890123456789, 1e22, 5e-324]
    for word in ("1_0", "0x1", "１", "1+2", "1,2"):
        path.write_text(f"1,2,3,4\n1,2,3,{word}\n")
        with pytest.raises(UserError, match=r"boxes.txt, line 2"):
            text.numbers(path, (4,))


def test_import_keeps_numbers_as_they_were_written(tmp_path: Path) -> None:
    words = ["193.3940894518603", "216.92996459796026", "1e-03", "-nan(ind)"]
    annotate(tmp_path / "in/Deer.txt", ["\t".join(words)], "\r\n")
    import_results(tmp_path / "in", tmp_path / "out", "otb")
    assert (tmp_path / "out/Deer.txt").read_text() == ",".join(words) + "\n"


def test_mat_files_by_the_names_that_toolkits_give_them(tmp_path: Path) -> None:
    from scipy.io import savemat

    third = 1 / 3
    (tmp_path / "in").mkdir()
    stems = "Jogging_1_siamfc3s Jogging_2_siamfc3s bird1_1_X human4_2_KCF david_KCF david2_K_C_F"
    for name in stems.split():
        content = {"res": np.array([[1.5, 2, 3, third]] * 2), "type": "rect"}
        savemat(tmp_path / "in" / f"{name}.mat", {"results": content})
    names = import_results(tmp_path / "in", tmp_path / "out", "otb")
    assert names == ["Bird1", "David", "David2", "Human4.2", "Jogging.1", "Jogging.2"]
    assert (tmp_path / "out/Bird1.txt").read_text().splitlines()[0] == f"1.5,2,3,{third!r}"


def test_mat_files_with_several_matrices_or_runs(tmp_path: Path) -> None:
    """The annotation comes first by name; known names win; SRE has 12 runs and TRE 20."""
    from scipy.io import savemat

    (tmp_path / "in").mkdir()
    path, out = tmp_path / "in/Deer_X.mat", tmp_path / "out/Deer.txt"
    truth, boxes = np.full((3, 4), 7.0), np.full((3, 4), 9.0)
    run = {"res": boxes, "type": "rect"}
    for content in ({"res": boxes}, {"results": run}, {"results": boxes}):
        savemat(path, {"anno": truth, **content})
        import_results(path.parent, out.parent, "otb")
        assert out.read_text() == "9,9,9,9\n" * 3
        shutil.rmtree(out.parent)
    savemat(path, {"boxes": boxes, "fps": 30.0})  # the only ones, whatever their name
    import_results(path.parent, out.parent, "otb")
    assert out.read_text() == "9,9,9,9\n" * 3
    shutil.rmtree(out.parent)
    runs = np.empty((1, 20), object)
    runs[0] = [run] * 20
    for wrong, said in (
        ({"anno": truth, "boxes": boxes}, "found anno 3 × 4, boxes 3 × 4; expected the result to"),
        ({"anno": truth, "results": {**run, "type": "ivtAff"}}, "no N × 4 boxes of type 'rect'"),
        ({"anno": truth, "results": runs}, "20 runs, as of SRE or TRE; expected the one of OPE"),
    ):
        savemat(path, wrong)
        with pytest.raises(UserError, match=said):
            import_results(path.parent, out.parent, "otb")
    path.write_bytes(b"MATLAB 7.3 MAT-file".ljust(124) + b"\0\2IM" + bytes(400))
    with pytest.raises(UserError, match=r"scipy cannot read it as a .mat file \(.*v7.3"):
        import_results(path.parent, out.parent, "otb")


def test_board_with_a_row_too_few(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its last frame has no box, so nothing is lost; in a frame with one, a lacking row is a
    miss.
    """
    board = still("Board", 200)
    annotate(tmp_path / "Board.txt", [LATER] * 199)
    board.boxes[199] = [-1, -1, 0, 0]
    assert overall("otb100", tmp_path, board) == pytest.approx(
        {"auc": 0.995 * HIT, "precision": 1, "norm_precision": 1}
    )
    assert "Board.txt: 199 rows, but the annotation has 200" in capsys.readouterr().err
    assert overall("otb100", tmp_path, still("Board", 200)) == pytest.approx(
        {"auc": 0.995 * HIT, "precision": 0.995, "norm_precision": 0.995}
    )
    said = "199 rows, but the annotation has 202; at most 1% of the frames may lack"
    with pytest.raises(UserError, match=said):
        overall("otb100", tmp_path, still("Board", 202))


def test_tiger1_with_and_without_its_first_five_frames(tmp_path: Path) -> None:
    for lead, folder in ((0, "a"), (5, "b")):
        annotate(tmp_path / folder / "Tiger1.txt", ["90,90,5,5"] * lead + [LATER] * 30)
        values = overall("otb100", tmp_path / folder, still("Tiger1", 30))
        assert values["auc"] == pytest.approx(HIT)
    annotate(tmp_path / "b/Deer.txt", [LATER] * 35)
    with pytest.raises(UserError, match="35 rows, but the annotation has 30"):
        overall("otb100", tmp_path / "b", still("Deer", 30))
    with pytest.raises(UserError, match=r"Boy.txt: no stored predictions"):
        overall("otb100", tmp_path / "b", still("Boy", 30))


# -- rules --


def test_otb_two_toolkits_and_centres(tmp_path: Path) -> None:
    """Rows of truth: plain; x = 0, valid by size alone; 0,0,0,0; a large one with its centre left
    of the image. The last two have no positive centre: distance -1, a hit.
    """
    truth = np.array([[10, 10, 8, 8], [0, 5, 8, 8], [0, 0, 0, 0], [-20, 5, 12, 12.0]])
    sequence = Sequence("a", (), truth - [1, 1, 0, 0], np.ones(4, bool))
    annotate(tmp_path / "a.txt", ["10,10,8,8", "0,5,8,8", "50,50,9,9", "100,5,12,12"])
    scores = score([sequence], tmp_path, PROTOCOLS["otb100"])
    expected = {"auc": 2 / 4 * HIT, "precision": 1, "norm_precision": 1}
    assert scores.overall == pytest.approx(expected)
    assert scores.beside["all_positive"]["auc"] == pytest.approx(1 / 4 * HIT)
    success = scores.curves["success"], scores.beside_curves["all_positive"]["success"]
    assert [curve["y"][10] for curve in success] == [2 / 4, 1 / 4]  # OP50: above the threshold .5
    assert score_rules(PROTOCOLS["otb100"])["beside"]["all_positive"]["valid_truth"] == "all"


@pytest.mark.parametrize(("key", "hits"), [("otb100", 1), ("lasot", 1), ("trackingnet", 2)])
def test_a_distance_of_just_a_fifth(tmp_path: Path, key: str, hits: int) -> None:
    """Two pixels off on ten, by centres in the file's own numbers: 13.5/10 - 11.5/10 is above .2 by
    a rounding, 14.5/10 - 12.5/10 is not. TrackingNet's devkit divides the offset: 2/10 is .2.
    """
    truth = np.array([[50, 20, 10, 10], [7, 20, 10, 10], [8, 20, 10, 10.0]])
    origin = LAYOUTS[PROTOCOLS[key].layout].ORIGIN
    sequence = Sequence("a", (), truth - [origin, origin, 0, 0], np.ones(3, bool))
    annotate(tmp_path / "a.txt", ["50,20,10,10", "9,20,10,10", "10,20,10,10"])
    rules = PROTOCOLS[key].onepass
    assert rules is not None
    curve = score([sequence], tmp_path, PROTOCOLS[key]).curves["norm_precision"]["y"]
    at = np.isclose(rules.curves()["norm_precision"].thresholds(), 0.2)
    assert np.array(curve)[at] == pytest.approx((1 + hits) / 3)


def test_pysot_counts_a_nan_as_a_miss(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [LATER, "-nan(ind),9,20,16", "nan,nan,nan,nan", "inf,9,20,16"]
    annotate(tmp_path / "a.txt", rows)
    assert overall("otb100", tmp_path, still("a", 4)) == pytest.approx(
        {"auc": HIT / 4, "precision": 0.25, "norm_precision": 0.25}
    )
    assert "a.txt: 2 rows with NaN, the first in line 2" in capsys.readouterr().err


def test_got10k_refuses_a_nan_that_would_make_its_ao_nan(tmp_path: Path) -> None:
    sequence = still("a", 4)
    sequence.visible[2] = False  # the toolkit drops that frame
    annotate(tmp_path / "a/a_001.txt", [BOX, BOX, "nan,8,20,16", BOX])
    assert overall("got10k", tmp_path, sequence)["ao"] == 1
    annotate(tmp_path / "a/a_001.txt", [BOX, BOX, BOX, "nan,8,20,16"])
    said = r"line 4: a box that is NaN; the benchmark's own toolkit gives NaN"
    with pytest.raises(UserError, match=said):
        overall("got10k", tmp_path, sequence)


INFINITE = ["inf,8,20,16", "10,8,inf,16", "-inf,8,inf,16", "10,8,20,inf", "10,-inf,inf,inf"]


@pytest.mark.parametrize("key", ["otb100", "lasot", "tnl2k", "plain"])
def test_infinite_boxes_miss(tmp_path: Path, key: str) -> None:
    """Their area is infinite or they end before they begin; the distance is infinite or NaN."""
    first = LATER if LAYOUTS[PROTOCOLS[key].layout].ORIGIN else BOX
    annotate(tmp_path / "in/a.txt", [first, *INFINITE])
    import_results(tmp_path / "in", tmp_path / "out", PROTOCOLS[key].layout)
    scores = overall(key, tmp_path / "out", still("a", 6))
    exact = 0 if key == "plain" else 1 / 6  # the first frame
    assert scores["auc"] == pytest.approx(exact * HIT)
    assert scores["precision"] == pytest.approx(exact)


def test_infinite_boxes_are_cut_at_the_image_as_got10k_does(tmp_path: Path) -> None:
    from got10k.utils.metrics import rect_iou

    annotate(tmp_path / "in/a/a_001.txt", [BOX, *INFINITE])
    import_results(tmp_path / "in", tmp_path / "out", "got10k")
    boxes = np.array([[float(word) for word in row.split(",")] for row in INFINITE])
    expected = rect_iou(boxes, still("a", 5).boxes, bound=(80, 60))
    assert expected[1] == pytest.approx(20 * 16 / (70 * 16))
    values = overall("got10k", tmp_path / "out", still("a", 6))
    assert values["ao"] == pytest.approx(expected.mean(), abs=1e-12)


def devkit(truth: np.ndarray, content: str) -> list[float]:
    """TrackingNet's definition in data frames: success, precision and normalised precision of one
    sequence.
    """
    names = ["x", "y", "w", "h"]
    boxes = pd.read_csv(io.StringIO(content), names=names).astype(float).apply(np.round)
    frame = pd.DataFrame(np.round(truth), columns=names).join(boxes.add_suffix("2"))
    frame.loc[0, ["x2", "y2", "w2", "h2"]] = frame.loc[0, names].to_numpy()
    sides, offset = [], []
    for at, size in ("xw", "yh"):
        ends = {"a": frame[at] + frame[size], "b": frame[at + "2"] + frame[size + "2"]}
        far = pd.DataFrame(ends).min(axis=1)
        sides.append((far - frame[[at, at + "2"]].max(axis=1)).clip(lower=0))
        offset.append(frame[f"{at}2"] + frame[f"{size}2"] / 2 - frame[at] - frame[size] / 2)
    shared = sides[0] * sides[1]
    iou = shared / (frame["w"] * frame["h"] + frame["w2"] * frame["h2"] - shared)
    distance = (offset[0] ** 2 + offset[1] ** 2) ** 0.5
    share = ((offset[0] / frame["w"]) ** 2 + (offset[1] / frame["h"]) ** 2) ** 0.5
    axis = np.linspace(0, 1, 21)
    curves = [
        [(iou >= t).mean() for t in axis],
        [(distance <= 50 * t).mean() for t in axis],
        [(share <= 0.5 * t).mean() for t in axis],
    ]
    return [float(np.trapezoid(curve, axis)) for curve in curves]


@pytest.mark.parametrize(
    "rows",
    [
        ["10,8,20,16"] * 3,  # two rows lack
        ["10,8,20,16"] * 7,  # two too many
        ["10,8,20,16", "0,0,0,0", "nan,8,20,16", "10,8,nan,16", "nan,nan,nan,nan"],
        ["1,1,1,1", "nan,nan,nan,nan", "14.6,8.5,20.5,15.5", "10,8,0,0", "inf,8,20,16"],
        ["10,8,20,16", *INFINITE[1:]],
    ],
)
def test_trackingnet_agrees_with_data_frames(tmp_path: Path, rows: list[str]) -> None:
    sequence = still("a", 5)
    sequence.boxes[1] = 0
    sequence.boxes[2, :2] = [10.4, 7.6]
    annotate(tmp_path / "a.txt", rows)
    values = overall("trackingnet", tmp_path, sequence)
    expected = devkit(sequence.boxes, "".join(row + "\n" for row in rows))
    assert list(values.values()) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("key", ["lasot", "tnl2k"])
def test_matlab_repeats_raw_rows_and_plots_drop_zeros(tmp_path: Path, key: str) -> None:
    """The broken second row repeats the first as the file has it, not the truth; infinity is no
    broken row; the fifth row is one too many.
    """
    annotate(tmp_path / "a.txt", ["60,60,5,5", "nan,0,0,0", "11,9,inf,16", LATER, "1,1,1,1"])
    annotate(tmp_path / "b.txt", ["61,61,5,5"] * 4)
    other = still("b", 4)
    other.boxes[0] = [-1, -1, 0, 0]  # no valid truth, so that nothing of b is a success
    scores = score([still("a", 4), other], tmp_path, PROTOCOLS[key])
    assert [row["auc"] for row in scores.per_sequence.values()] == pytest.approx([0.5 * HIT, 0])
    assert scores.overall["auc"] == pytest.approx(0.25 * HIT)
    assert scores.beside["plotted"]["auc"] == pytest.approx(0.5 * HIT)
    # b has a hit, so both count
    assert scores.beside["plotted"]["precision"] == scores.overall["precision"]


@pytest.mark.parametrize("key", ["uav123", "uav123_10fps", "nfs"])
def test_a_frame_without_a_box_by_pysot(tmp_path: Path, key: str) -> None:
    """UAV123 has rows of NaN where the target is away: a success miss and a precision hit. Two of
    the other three frames are exact.
    """
    pictures(tmp_path / "data/bird1_1", range(1, 5), "%06d.jpg")
    annotate(tmp_path / "data/bird1_1/groundtruth.txt", [BOX, "NaN,NaN,NaN,NaN", BOX, BOX])
    curate(tmp_path / "data", PROTOCOLS[key].layout, key, tmp_path / "out")
    annotate(tmp_path / "p/bird1_1.txt", [BOX, "60,40,9,9", BOX, "60,40,9,9"])
    assert overall(key, tmp_path / "p", *load_curated(tmp_path / "out")) == pytest.approx(
        {"auc": 2 / 4 * HIT, "precision": 3 / 4, "norm_precision": 3 / 4}
    )
    annotate(tmp_path / "p/bird1_1.txt", [BOX] * 3)
    with pytest.raises(UserError, match="3 rows, but the annotation has 4"):
        overall(key, tmp_path / "p", *load_curated(tmp_path / "out"))


def test_lasots_extension_is_scored_as_lasot() -> None:
    assert score_rules(PROTOCOLS["lasot_ext"]) == score_rules(PROTOCOLS["lasot"])


# -- VOT --


def vot_score(folder: Path, rows: list[str], key: str = "vot2018") -> dict[str, Any]:
    annotate(folder / "baseline/bag/bag_001.txt", rows)
    annotate(folder / "baseline/ball/ball_001.txt", ["1"] + [BOX] * 399)
    return overall(key, folder, still("bag", 300), still("ball", 400))


@pytest.mark.parametrize(
    ("key", "low", "high"), [("vot2016", 107, 370), ("vot2018", 99, 355), ("vot2019", 45, 290)]
)
def test_a_failure_five_frames_before_the_end_weighs_its_fragment_less(
    tmp_path: Path, key: str, low: int, high: int
) -> None:
    """300 frames that fail at frame 295: the restart, frame 300, is just past the end, and counts
    in the weight. The windows are pysot's: low - 1 to high - 1 of 108-371, 100-356 and 46-291.
    """
    eao = vot_score(tmp_path, ["1"] + [BOX] * 294 + ["2"] + ["0"] * 4, key)["eao"]
    curve = [(300 / 301 * (min(i, 294) / i) + 1) / (300 / 301 + 1) for i in range(low, high + 1)]
    assert eao == pytest.approx(np.mean(curve), abs=1e-12)


def test_vot_files_are_cut_to_the_shorter(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = ["1"] + [BOX] * 299
    whole = vot_score(tmp_path / "a", rows)
    assert vot_score(tmp_path / "b", [*rows, BOX]) == whole
    said = "bag_001.txt: 301 rows, but the annotation has 300; both are cut"
    assert said in capsys.readouterr().err
    assert vot_score(tmp_path / "c", rows[:298])["eao"] == pytest.approx(1)
    assert "bag_001.txt: 298 rows, but the annotation has 300" in capsys.readouterr().err
    with pytest.raises(UserError, match="296 rows, but the annotation has 300; at most 1%"):
        vot_score(tmp_path / "d", rows[:296])


# -- submissions --


def test_the_servers_own_readers_read_our_zips(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """GOT-10k: its toolkit scores the unpacked zip. TrackingNet: found by base name and read as a
    data frame.
    """
    from got10k.experiments import ExperimentGOT10k

    boxes = np.array([[10.0, 8, 20, 16], [11, 8, 21.4996, 16], [12, 8.25, 20, 16]])
    for server, folder in (("got10k", "data/val"), ("trackingnet", "test")):
        for name in "ab":
            store.write_track(tmp_path / server, name, Track(boxes, np.full(3, 0.01)), server)
            sequence = Sequence(name, tuple(map(Path, "123")), boxes, np.ones(3, bool))
            WRITERS[server].write(tmp_path / folder, sequence, [GREY] * 3)
        WRITERS[server].finish(tmp_path / folder, ["a", "b"])
        monkeypatch.setitem(SERVERS, server, SERVERS[server]._replace(sequences=2))
        submit(server, tmp_path / server, tmp_path / folder, tmp_path / f"{server}.zip")
    with zipfile.ZipFile(tmp_path / "got10k.zip") as archive:
        archive.extractall(tmp_path / "results/GOT-10k/siamla")
    folders = [str(tmp_path / name) for name in ("results", "reports")]
    toolkit = ExperimentGOT10k(str(tmp_path / "data"), "val", *folders)
    toolkit.plot_curves = lambda *_: None
    values = toolkit.report(["siamla"])["siamla"]["overall"]
    assert values["ao"] == pytest.approx(1, abs=1e-4)
    assert values["speed_fps"] == pytest.approx(100)
    with zipfile.ZipFile(tmp_path / "trackingnet.zip") as archive:
        members = [name for name in archive.namelist() if name.endswith(".txt") and "a.txt" in name]
        assert members == ["a.txt"]
        frame = pd.read_csv(archive.open("a.txt"), sep=",", names=["x", "y", "w", "h"])
        content = archive.read("a.txt").decode()
    # all decimals: 21.4996 is 21 pixels wide, 21.50 would be 22
    np.testing.assert_array_equal(frame.to_numpy(), boxes)
    truth = np.round(boxes)
    sequence = Sequence("a", (), truth, np.ones(3, bool))
    values = overall("trackingnet", tmp_path / "trackingnet", sequence)
    assert list(values.values()) == pytest.approx(devkit(truth, content), abs=1e-12)
    assert values["auc"] == pytest.approx(1)
