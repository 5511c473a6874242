"""The genuine forms: official folders with their quirks, result files as trackers write them, the
toolkits' rules.
"""

import io
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
from siamla.benchmark.submission import submit
from siamla.data.crops import usable_frames
from siamla.data.curate import curate, load_curated, warnings
from siamla.data.formats import LAYOUTS, text
from siamla.errors import UserError
from siamla.miniatures.dataset import WRITERS
from siamla.sequence import Sequence

PROTOCOLS = load_protocols(Path(__file__).parents[1] / "params" / "protocols.yaml")
GREY = cv2.imencode(".jpg", np.full((60, 80), 128, np.uint8))[1].tobytes()
BOX = "10,8,20,16"


def pictures(folder: Path, numbers: Iterable[int], form: str = "%04d.jpg") -> None:
    folder.mkdir(parents=True)
    for number in numbers:
        (folder / (form % number)).write_bytes(GREY)


def annotate(path: Path, rows: list[str], end: str = "\n") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(row + end for row in rows), newline="")


def still(name: str, count: int, **more: Any) -> Sequence:
    return Sequence(name, (), np.array([[10.0, 8, 20, 16]] * count), np.ones(count, bool), **more)


# Folders
# --------------------------------------------------------------------------------------------------
# --------


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
    found = LAYOUTS["otb"].read(tmp_path, video)
    assert [found.frames[0].stem, found.frames[-1].stem] == [first, last]
    assert len(found) == len(found.boxes) == int(last) - int(first) + 1
    assert (
        found.boxes[-1, 0] == 9 + rows - 1
    )  # the last row is the last frame's, and counted from 0


def test_otb_names_and_delimiters(tmp_path: Path) -> None:
    pictures(tmp_path / "Board/img", range(1, 13), "%05d.jpg")
    annotate(tmp_path / "Board/groundtruth_rect.txt", [BOX] * 11 + ["0,0,0,0"], "\r\n")
    for video, first, second in (
        ("Jogging", BOX, BOX),
        ("Skating2", BOX, BOX),
        ("Human4", "", BOX),
    ):
        pictures(tmp_path / video / "img", range(1, 4))
        annotate(
            tmp_path / video / "groundtruth_rect.1.txt",
            [first.replace(",", "\t")] * 3 if first else [],
        )
        annotate(tmp_path / video / "groundtruth_rect.2.txt", [second] * 3)
    found = LAYOUTS["otb"].names(tmp_path)
    assert found == ["Board", "Human4.2", "Jogging.1", "Jogging.2", "Skating2.1", "Skating2.2"]
    for name in found:
        sequence = LAYOUTS["otb"].read(tmp_path, name)
        assert len(sequence) == len(sequence.boxes)
        assert sequence.boxes[0].tolist() == [9, 7, 20, 16]
    assert LAYOUTS["otb"].read(tmp_path, "Board").frames[9].stem == "00010"


def test_frames_without_a_box_are_counted_and_never_trained_on(tmp_path: Path) -> None:
    pictures(tmp_path / "otb/Twinnings/img", range(1, 7))
    annotate(tmp_path / "otb/Twinnings/groundtruth_rect.txt", [BOX] * 5 + ["0,0,0,0"])
    report = curate(tmp_path / "otb", "otb", "otb100", tmp_path / "out")
    assert (report["without_box"], report["rejected"], report["boxes_known"]) == (
        {"Twinnings": 1},
        0,
        5,
    )
    assert any(
        "1 frames without a valid box (Twinnings 1)" in line for line in warnings(report, True)
    )
    (sequence,) = load_curated(tmp_path / "out")
    assert sequence.boxes[5].tolist() == [-1, -1, 0, 0]
    assert sequence.visible.all()
    assert sequence.valid.tolist() == [True] * 5 + [False]
    assert usable_frames(sequence, None).tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("row", ["inf,8,20,16", "900,8,20,16"])
def test_what_no_protocol_has_a_rule_for_is_rejected(tmp_path: Path, row: str) -> None:
    pictures(tmp_path / "otb/Deer/img", range(1, 4))
    annotate(tmp_path / "otb/Deer/groundtruth_rect.txt", [BOX, row, BOX])
    with pytest.raises(UserError, match="Deer: box of frame 2"):
        curate(tmp_path / "otb", "otb", "otb100", tmp_path / "out")
    annotate(tmp_path / "otb/Deer/groundtruth_rect.txt", ["0,0,0,0", BOX, BOX])
    with pytest.raises(
        UserError, match=r"Deer: box of frame 1 is .*not positive"
    ):  # nothing to start a tracker on
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
    sequences = load_curated(tmp_path / "out")
    annotate(tmp_path / "p/tiger-6.txt", [BOX] * 5)
    found = score(sequences, tmp_path / "p", PROTOCOLS["lasot"]).overall
    # Three frames are exact, the unmarked one is a precision hit, and all curves divide by five.
    assert found == pytest.approx({"auc": 0.6 * 20 / 21, "precision": 0.8, "norm_precision": 0.8})


def test_tnl2k_damaged_frame_is_read_from_the_toolkit(tmp_path: Path) -> None:
    name = "test_015_Sord_video_Q01_done"
    pictures(tmp_path / "tnl/x/imgs", [1])
    (tmp_path / "tnl/x").rename(tmp_path / "tnl" / name)
    folder = tmp_path / "tnl" / name
    for number in (491, 492, 493):
        (folder / f"imgs/{number:08d}.png").write_bytes(GREY if number != 492 else GREY[:100])
    (folder / "imgs/0001.jpg").unlink()
    annotate(folder / "groundtruth.txt", [BOX] * 3)
    with pytest.raises(UserError, match=r"00000492.png: truncated or not an image"):
        curate(tmp_path / "tnl", "tnl2k", "tnl2k", tmp_path / "out")
    (tmp_path / "tnl/00000492.png").write_bytes(GREY)
    assert curate(tmp_path / "tnl", "tnl2k", "tnl2k", tmp_path / "out")["sequences"] == 1
    assert load_curated(tmp_path / "out")[0].frames[1] == tmp_path / "tnl/00000492.png"


@pytest.mark.parametrize("form", ["%05d.jpg", "%08d.jpg"])
def test_vot_numbers_and_got10k_cover(tmp_path: Path, form: str) -> None:
    pictures(tmp_path / "vot/bag/color", [9, 10, 100], form)
    annotate(tmp_path / "vot/bag/groundtruth.txt", ["1.5,2,3,4,5,6,7,8.25"] * 3)
    assert [path.stem[-3:] for path in LAYOUTS["vot"].read(tmp_path / "vot", "bag").frames] == [
        "009",
        "010",
        "100",
    ]
    pictures(tmp_path / "got/a", [1, 2, 3], "%08d.jpg")
    annotate(tmp_path / "got/a/groundtruth.txt", [f"{BOX}.0000"] * 3)
    annotate(tmp_path / "got/a/cover.label", ["8", "0", "1"])
    assert LAYOUTS["got10k"].read(tmp_path / "got", "a").visible.tolist() == [True, False, True]


# Result files
# --------------------------------------------------------------------------------------------------
# ---


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
    path.write_text(
        "nan,-nan(ind),NaN,1.#QNAN\n0.1234567890123456,123.4567890123456789,1e22,5e-324\n"
    )
    found = text.numbers(path, (4,))
    assert np.isnan(found[0]).all()
    assert found[1].tolist() == [0.1234567890123456, 123.4567890123456789, 1e22, 5e-324]
    for word in ("1_0", "0x1", "１", "1+2", "1,2"):
        path.write_text(f"1,2,3,4\n1,2,3,{word}\n")
        with pytest.raises(UserError, match=r"boxes.txt, line 2"):
            text.numbers(path, (4,))


def test_import_keeps_numbers_as_they_were_written(tmp_path: Path) -> None:
    annotate(
        tmp_path / "in/Deer.txt",
        ["193.3940894518603\t216.92996459796026\t1e-03\t-nan(ind)"],
        "\r\n",
    )
    import_results(tmp_path / "in", tmp_path / "out", "otb")
    assert (
        tmp_path / "out/Deer.txt"
    ).read_text() == "193.3940894518603,216.92996459796026,1e-03,-nan(ind)\n"


def test_mat_files_by_the_names_that_toolkits_give_them(tmp_path: Path) -> None:
    from scipy.io import savemat

    third = 1 / 3
    names = (
        "Jogging_1_siamfc3s",
        "Jogging_2_siamfc3s",
        "bird1_1_X",
        "human4_2_KCF",
        "david_KCF",
        "david2_K_C_F",
    )
    for name in names:
        path = tmp_path / "in" / f"{name}.mat"
        path.parent.mkdir(exist_ok=True)
        savemat(path, {"results": {"res": np.array([[1.5, 2, 3, third]] * 2), "type": "rect"}})
    found = import_results(tmp_path / "in", tmp_path / "out", "otb")
    assert found == ["Bird1", "David", "David2", "Human4.2", "Jogging.1", "Jogging.2"]
    assert (tmp_path / "out/Bird1.txt").read_text().splitlines()[0] == f"1.5,2,3,{third!r}"


def test_board_with_a_row_too_few(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its last frame has no box, so nothing is lost; in a frame with one, a lacking row is a
    miss.
    """
    board = still("Board", 200)
    annotate(tmp_path / "Board.txt", ["11,9,20,16"] * 199)
    board.boxes[199] = [-1, -1, 0, 0]
    found = score([board], tmp_path, PROTOCOLS["otb100"]).overall
    assert found == pytest.approx({"auc": 199 / 200 * 20 / 21, "precision": 1, "norm_precision": 1})
    assert "Board.txt: 199 rows, but the annotation has 200" in capsys.readouterr().err
    found = score([still("Board", 200)], tmp_path, PROTOCOLS["otb100"]).overall
    assert found == pytest.approx(
        {"auc": 199 / 200 * 20 / 21, "precision": 0.995, "norm_precision": 0.995}
    )
    with pytest.raises(
        UserError, match="199 rows, but the annotation has 202; at most 1% of the frames may lack"
    ):
        score([still("Board", 202)], tmp_path, PROTOCOLS["otb100"])


def test_tiger1_with_and_without_its_first_five_frames(tmp_path: Path) -> None:
    tiger = still("Tiger1", 30)
    for lead, folder in ((0, "a"), (5, "b")):
        annotate(tmp_path / folder / "Tiger1.txt", ["90,90,5,5"] * lead + ["11,9,20,16"] * 30)
        assert score([tiger], tmp_path / folder, PROTOCOLS["otb100"]).overall[
            "auc"
        ] == pytest.approx(20 / 21)
    annotate(tmp_path / "b/Deer.txt", ["11,9,20,16"] * 35)
    with pytest.raises(UserError, match="35 rows, but the annotation has 30"):
        score([still("Deer", 30)], tmp_path / "b", PROTOCOLS["otb100"])


# Rules
# --------------------------------------------------------------------------------------------------
# ----------


def test_otb_two_toolkits_and_centres(tmp_path: Path) -> None:
    """Rows of truth: plain; x = 0, valid by size alone; 0,0,0,0; a large one with its centre left
    of the image.
    """
    truth = np.array([[10, 10, 8, 8], [0, 5, 8, 8], [0, 0, 0, 0], [-20, 5, 12, 12.0]])
    sequence = Sequence("a", (), truth - [1, 1, 0, 0], np.ones(4, bool))
    annotate(tmp_path / "a.txt", ["10,10,8,8", "0,5,8,8", "50,50,9,9", "100,5,12,12"])
    found = score([sequence], tmp_path, PROTOCOLS["otb100"])
    assert found.overall["auc"] == pytest.approx(2 / 4 * 20 / 21)
    assert found.beside["all_positive"]["auc"] == pytest.approx(1 / 4 * 20 / 21)
    assert (
        found.overall["precision"] == 1
    )  # the last two have no positive centre: distance -1, a hit
    assert found.overall["norm_precision"] == 1
    assert score_rules(PROTOCOLS["otb100"])["beside"]["all_positive"]["valid_truth"] == "all"


def test_pysot_counts_a_nan_as_a_miss(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    annotate(
        tmp_path / "a.txt", ["11,9,20,16", "-nan(ind),9,20,16", "nan,nan,nan,nan", "inf,9,20,16"]
    )
    found = score([still("a", 4)], tmp_path, PROTOCOLS["otb100"]).overall
    assert found == pytest.approx({"auc": 20 / 21 / 4, "precision": 0.25, "norm_precision": 0.25})
    assert "a.txt: 2 rows with NaN, the first in line 2" in capsys.readouterr().err


def test_got10k_refuses_a_nan_that_would_make_its_ao_nan(tmp_path: Path) -> None:
    sequence = still("a", 4)
    sequence.visible[2] = False
    path = tmp_path / "a/a_001.txt"
    annotate(path, [BOX, BOX, "nan,8,20,16", BOX])
    sizes = {"a": (80, 60)}
    assert (
        score([sequence], tmp_path, PROTOCOLS["got10k"], sizes).overall["ao"] == 1
    )  # the toolkit drops that frame
    annotate(path, [BOX, BOX, BOX, "nan,8,20,16"])
    with pytest.raises(
        UserError, match=r"line 4: a box that is NaN; the benchmark's own toolkit gives NaN"
    ):
        score([sequence], tmp_path, PROTOCOLS["got10k"], sizes)


def devkit(truth: np.ndarray, content: str) -> list[float]:
    """TrackingNet's definition in data frames: success, precision and normalised precision of one
    sequence.
    """
    names = ["x", "y", "w", "h"]
    found = pd.read_csv(io.StringIO(content), names=names).astype(float).apply(np.round)
    frame = pd.DataFrame(np.round(truth), columns=names).join(found.add_suffix("2"))
    frame.loc[0, ["x2", "y2", "w2", "h2"]] = frame.loc[0, names].to_numpy()
    sides = []
    for at, size in (("x", "w"), ("y", "h")):
        far = pd.DataFrame(
            {"a": frame[at] + frame[size], "b": frame[at + "2"] + frame[size + "2"]}
        ).min(axis=1)
        sides.append((far - frame[[at, at + "2"]].max(axis=1)).clip(lower=0))
    shared = sides[0] * sides[1]
    iou = shared / (frame["w"] * frame["h"] + frame["w2"] * frame["h2"] - shared)
    offset = [
        (frame[f"{at}2"] + frame[f"{size}2"] / 2 - frame[at] - frame[size] / 2)
        for at, size in ("xw", "yh")
    ]
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
        ["10,8,20,16", "0,0,0,0", "nan,8,20,16", "10,8,nan,16", ",,,"],
        ["1,1,1,1", "nan,nan,nan,nan", "14.6,8.5,20.5,15.5", "10,8,0,0", "inf,8,20,16"],
    ],
)
def test_trackingnet_agrees_with_data_frames(tmp_path: Path, rows: list[str]) -> None:
    truth = np.array(
        [[10, 8, 20, 16], [0, 0, 0, 0], [10.4, 7.6, 20, 16], [10, 8, 20, 16], [10, 8, 20, 16.0]]
    )
    sequence = Sequence("a", (), truth, np.ones(5, bool))
    annotate(tmp_path / "a.txt", [row if row != ",,," else "nan,nan,nan,nan" for row in rows])
    found = score([sequence], tmp_path, PROTOCOLS["trackingnet"]).overall
    assert list(found.values()) == pytest.approx(
        devkit(truth, "".join(row + "\n" for row in rows)), abs=1e-12
    )


@pytest.mark.parametrize("key", ["lasot", "tnl2k"])
def test_matlab_repeats_raw_rows_and_plots_drop_zeros(tmp_path: Path, key: str) -> None:
    """The broken second row repeats the first as the file has it, not the truth; infinity is no
    broken row.
    """
    annotate(
        tmp_path / "a.txt", ["60,60,5,5", "nan,0,0,0", "11,9,inf,16", "11,9,20,16", "1,1,1,1"]
    )  # and one too long
    annotate(tmp_path / "b.txt", ["61,61,5,5"] * 4)
    other = still("b", 4)
    other.boxes[0] = [
        -1,
        -1,
        0,
        0,
    ]  # no valid truth in the first frame, so that nothing of it is a success
    found = score([still("a", 4), other], tmp_path, PROTOCOLS[key])
    assert [row["auc"] for row in found.per_sequence] == pytest.approx([0.5 * 20 / 21, 0])
    assert found.overall["auc"] == pytest.approx(0.25 * 20 / 21)
    assert found.beside["plotted"]["auc"] == pytest.approx(0.5 * 20 / 21)
    assert (
        found.beside["plotted"]["precision"] == found.overall["precision"]
    )  # b has a hit, so both count


# VOT
# --------------------------------------------------------------------------------------------------
# ------------


def vot_score(folder: Path, rows: list[str], count: int) -> dict[str, Any]:
    box = still("bag", count)
    annotate(folder / "baseline/bag/bag_001.txt", rows)
    annotate(folder / "baseline/ball/ball_001.txt", ["1"] + [BOX] * 399)
    return score(
        [box, still("ball", 400)], folder, PROTOCOLS["vot2018"], {"bag": (80, 60), "ball": (80, 60)}
    ).overall


def test_a_failure_five_frames_before_the_end_weighs_its_fragment_less(tmp_path: Path) -> None:
    """300 frames that fail at frame 295: the restart, frame 300, is just past the end, and counts
    in the weight.
    """
    rows = ["1"] + [BOX] * 294 + ["2"] + ["0"] * 4
    found = vot_score(tmp_path, rows, 300)["eao"]
    curve = [(300 / 301 * (min(i, 294) / i) + 1) / (300 / 301 + 1) for i in range(99, 356)]
    assert found == pytest.approx(np.mean(curve), abs=1e-12)


def test_vot_files_are_cut_to_the_shorter(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = ["1"] + [BOX] * 299
    whole = vot_score(tmp_path / "a", rows, 300)
    assert vot_score(tmp_path / "b", [*rows, BOX], 300) == whole
    assert (
        "bag_001.txt: 301 rows, but the annotation has 300; both are cut" in capsys.readouterr().err
    )
    assert vot_score(tmp_path / "c", rows[:298], 300)["eao"] == pytest.approx(1)
    assert "bag_001.txt: 298 rows, but the annotation has 300" in capsys.readouterr().err
    with pytest.raises(UserError, match="296 rows, but the annotation has 300; at most 1%"):
        vot_score(tmp_path / "d", rows[:296], 300)


# Submissions
# --------------------------------------------------------------------------------------------------
# ----


def test_the_servers_own_readers_read_our_zips(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """GOT-10k: its toolkit scores the unpacked zip. TrackingNet: found by base name and read as a
    data frame.
    """
    from got10k.experiments import ExperimentGOT10k

    boxes = np.array([[10.0, 8, 20, 16], [11, 8, 20.4996, 16], [12, 8.25, 20, 16]])
    for name in ("a", "b"):
        for layout in ("got10k", "trackingnet"):
            store.write_track(tmp_path / layout, name, Track(boxes, np.full(3, 0.01)), layout)
        sequence = Sequence(name, tuple(map(Path, "123")), boxes, np.ones(3, bool))
        for layout, folder in (("got10k", "data/val"), ("trackingnet", "test")):
            WRITERS[layout].write(tmp_path / folder, sequence, [GREY] * 3)
    for server, folder in (("got10k", "data/val"), ("trackingnet", "test")):
        WRITERS[server].finish(tmp_path / folder, ["a", "b"])
        monkeypatch.setattr(LAYOUTS[server], "official_count", 2)
        submit(server, tmp_path / server, tmp_path / folder, tmp_path / f"{server}.zip")
    with zipfile.ZipFile(tmp_path / "got10k.zip") as archive:
        archive.extractall(tmp_path / "results/GOT-10k/siamla")
    toolkit = ExperimentGOT10k(
        str(tmp_path / "data"), "val", str(tmp_path / "results"), str(tmp_path / "reports")
    )
    toolkit.plot_curves = lambda *_: None
    found = toolkit.report(["siamla"])["siamla"]["overall"]
    assert found["ao"] == pytest.approx(1, abs=1e-4)
    assert found["speed_fps"] == pytest.approx(100)
    with zipfile.ZipFile(tmp_path / "trackingnet.zip") as archive:
        members = [name for name in archive.namelist() if name.endswith(".txt") and "a.txt" in name]
        assert members == ["a.txt"]
        frame = pd.read_csv(archive.open("a.txt"), sep=",", names=["x", "y", "w", "h"])
    np.testing.assert_allclose(frame.to_numpy(), boxes, atol=0.005)
