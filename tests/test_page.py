"""The report page and `siamla compare`, on results that the test makes: real scores of drawn
videos.
"""

import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
import yaml
from plans import finish

from siamla.benchmark.onepass import Track
from siamla.benchmark.store import write_track
from siamla.cli.main import main
from siamla.errors import UserError
from siamla.experiment.experiment import Experiment
from siamla.experiment.plan import Plan
from siamla.files import read_json, write_text
from siamla.miniatures.dataset import WRITERS
from siamla.report.differences import signed
from siamla.report.drawing.jobs import figure_names
from siamla.report.figures import frames
from siamla.sequence import Sequence
from siamla.steps.figures import figure
from siamla.steps.page import page
from siamla.steps.perform import perform
from siamla.steps.release import release

ROOT = Path(__file__).parents[1]
NAMES = ("Clip_1", "Fußball-λ", "A+B")
PLACE = {"device": "cpu", "precision": "fp32", "threads": 1}


def draw_videos(root: Path) -> dict[str, np.ndarray]:
    """Three videos of a moving square in OTB's layout; their boxes, 0-based."""
    boxes = {}
    for place, name in enumerate(NAMES):
        boxes[name] = np.array([[20.0 + 5 * i + place, 30, 24, 18] for i in range(8)])
        images = []
        for left in boxes[name][:, 0].astype(int):
            image = np.full((90, 140, 3), 90, np.uint8)
            image[30:48, left : left + 24] = (230, 40, 30 + 40 * place)
            images.append(cv2.imencode(".jpg", image)[1].tobytes())
        frames = tuple(Path(str(i)) for i in range(8))
        labels = frozenset(("FM", "OCC")[: place + 1])
        video = Sequence(name, frames, boxes[name], np.ones(8, bool), attributes=labels)
        WRITERS["otb"].write(root, video, images)
    return boxes


def make_results(folder: Path) -> None:
    """The smoke profile on three drawn videos: trained and tracked by nobody, scored for real,
    seeds 1 and 2.
    """
    shutil.copytree(ROOT / "params", folder / "params")
    boxes = draw_videos(folder / "data" / "mine")
    path = folder / "params" / "profiles" / "smoke.yaml"
    profile = yaml.safe_load(path.read_text())
    profile["benchmarks"] = {"otb100": {"layout": "otb", "root": "data/mine", "label": "OTB <100>"}}
    profile |= {"seeds": [1, 2], "sweeps": [], "maps": [], "alignment": [], "tables": [2, 3, 5]}
    path.write_text(yaml.safe_dump(profile))
    path = folder / "params" / "figures.yaml"
    figures = yaml.safe_load(path.read_text())
    names = ("fig4b", "fig9", "fig7", "training", "fig8")
    figures["figures"] = {name: figures["figures"][name] for name in names}
    for name in ("fig7", "fig8"):
        figures["figures"][name]["benchmark"] = "otb100"
    path.write_text(yaml.safe_dump(figures))
    plan = Plan.load("smoke")
    for step in ("fetch", "curate"):
        perform(plan, plan.job(step, dataset="otb100"))
    rng = np.random.default_rng(0)
    history = "epoch,total,cls,reg,loc\n1,3,1,1,1\n2,2,0.5,1,0.5\n"
    for variant, spread in (("siamcar", 6.0), ("siamla", 2.0)):
        for seed in (1, 2):
            names = {"benchmark": "otb100", "variant": variant, "seed": seed}
            trained = plan.job("train", variant=variant, seed=seed)
            write_text(trained.folder / "history.csv", history)
            finish(trained, ["history.csv"], place=PLACE)
            tracked = plan.job("predict", **names)
            for name, truth in boxes.items():
                found = truth + rng.normal(0, spread, truth.shape) * [1, 1, 0, 0]
                write_track(tracked.folder, name, Track(found, np.full(8, 0.02)), "otb")
            files = [path.name for path in tracked.folder.glob("*.txt")]
            origin = {"key": trained.key, "content": trained.key, "place": PLACE}
            finish(tracked, files, place=PLACE, training=origin)
            perform(plan, plan.job("score", **names))
    for name in figure_names(plan):
        figure(plan, name)
    page(plan)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project folder with results, figures and page."""
    folder = tmp_path_factory.mktemp("project")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        make_results(folder)
    return folder


@pytest.fixture
def plan(results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Plan:
    """A copy of it that a test may change."""
    shutil.copytree(results, tmp_path / "project")
    monkeypatch.chdir(tmp_path / "project")
    return Plan.load("smoke")


@pytest.fixture
def written(results: Path) -> Path:
    return results / "reports" / "smoke" / "index.html"


class Elements(HTMLParser):
    """Every start tag with its attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def test_the_page_holds_everything_and_needs_nothing(written: Path) -> None:
    text = written.read_text()
    elements = Elements(text).found
    sources = [a[key] for _, a in elements for key in ("src", "href", "srcset") if key in a]
    assert not [value for value in sources if not (value or "").startswith(("#", "data:"))]
    assert not re.findall(r"@import|url\((?!#)", text)
    pictures = [a.get("alt") for tag, a in elements if tag == "img"]
    assert len(pictures) == 5
    assert all(pictures)
    names = [value for _, a in elements if (value := a.get("id"))]
    assert len(names) == len(set(names))
    targets = {(a.get("href") or "")[1:] for tag, a in elements if tag == "a"}
    assert targets <= set(names)
    assert any(target.startswith("from-otb100") for target in targets)
    words = ("OTB &lt;100&gt;", "95 % interval", "report figure fig9")
    for word in (*NAMES, *words):
        assert word in text, word
    assert "<100>" not in text
    assert "script" not in [tag for tag, _ in elements]
    assert not [name for _, a in elements for name in a if name.startswith("on")]


def test_tables_of_the_page_mark_the_best_and_repeat_no_note(written: Path) -> None:
    text = written.read_text()
    assert text.count("Best three of the published rows") == 1  # of Table II alone
    for cell in ("<strong>0.467</strong>", "<u>0.462</u>", "<em>0.457</em>"):
        assert f"{cell}</td>" in text, cell
    assert text.count("Code: ") == 1
    assert "Nothing of this table was measured (Table II, Table V)" in text
    assert text.partition('id="figures"')[0].count("for testing the pipeline") == 1
    assert 'class="hint"' in text


def test_two_pages_have_equal_bytes_and_a_change_of_a_figure_is_noticed(plan: Plan) -> None:
    before = Path("reports/smoke/index.html").read_bytes()
    assert page(plan).read_bytes() == before
    path = Path("params/figures.yaml")
    path.write_text(path.read_text().replace("title: Losses", "title: The losses"))
    with pytest.raises(UserError, match=r"training\.json: entry\.title is .* makes it"):
        page(Plan.load("smoke"))


def test_a_missing_figure_or_score_names_its_command(plan: Plan) -> None:
    shutil.rmtree("reports")
    with pytest.raises(UserError, match="`siamla report figure fig4b --profile smoke` makes it"):
        page(plan)
    shutil.rmtree(plan.job("score", benchmark="otb100", variant="siamla", seed=2).folder)
    with pytest.raises(UserError, match="`siamla benchmark score otb100 siamla --seed 2"):
        page(plan)


def test_figure_8_shows_gains_and_losses_by_rule(
    plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = figure(plan, "fig8")
    made = json.loads(path.with_name("fig8.json").read_text())
    assert "largest and the smallest mean difference" in made["notes"][0]
    rows = path.with_name("fig8.csv").read_text().splitlines()
    assert rows[0].startswith("sequence,frame,tracker,x,y")
    assert {row.split(",")[0] for row in rows[1:]} == set(NAMES)
    assert all(int(row.split(",")[1]) > 0 for row in rows[1:])
    assert "Left out: 0 of 3 sequences" in made["notes"][1]
    monkeypatch.setattr(frames, "LEAST", 0.9)
    figure(plan, "fig8")
    said = path.with_name("fig8.md").read_text()
    assert "in no sequence do mean IoUs differ by 0.9 or more" in said


def test_rows_of_figure_8_differ_by_the_least_difference_and_none_is_minus_zero() -> None:
    gains = {"a": 0.2, "b": 0.04, "c": -0.001, "d": -0.06, "e": 0.07}
    assert frames.choose_sequences(gains, 4) == ["a", "e", "d"]
    assert frames.choose_sequences(gains, 2) == ["a", "d"]
    assert [signed(gains[name], 2) for name in "acd"] == ["+0.20", "+0.00", "−0.06"]


def test_compare_prints_what_differs(plan: Plan, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "siamcar", "siamla", "--profile", "smoke"]) == 0
    text = capsys.readouterr().out
    assert re.search(r"model\.localization +centerness +lafa", text)
    assert "training.epochs" not in text
    assert re.search(r"AUC ↑ +0\.\d{3} +0\.\d{3} +[+−]0\.\d{3} +\[", text)
    assert re.search(r"FM \(3\) +[+−]0\.\d{3} +\[", text)
    assert re.search(r"OCC \(2\)", text)
    assert all(name in text for name in NAMES)
    assert "†" not in text.rpartition("\n† ")[0]
    assert "OTB <100>: 3 sequences; seeds 2 and 2" in text
    assert main(["compare", "siamcar", "siamal", "--profile", "smoke"]) == 2
    assert "did you mean 'siamla'" in capsys.readouterr().err
    assert main(["compare", "siamla", "siamla", "--profile", "smoke"]) == 0
    assert "no setting differs" in capsys.readouterr().out


def test_compare_calls_no_difference_of_single_seeds(
    plan: Plan, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the tables' rule, and in their words."""
    monkeypatch.setattr(Experiment, "seeds", lambda experiment, variant: [1])
    assert main(["compare", "siamcar", "siamla", "--profile", "smoke"]) == 0
    text = capsys.readouterr().out
    assert re.search(r"AUC ↑ +0\.\d{3} +0\.\d{3} +[+−]0\.\d{3} +†\n", text)
    assert re.search(r"FM \(3\) +[+−]0\.\d{3} +†\n", text)
    assert "]" not in text
    assert "† no difference to siamcar can be called: fewer than two seeds" in text


def test_the_best_seed_is_released_with_a_card(
    plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = SimpleNamespace(label="Ours", digest="0" * 64, model=torch.nn.Linear(1, 1))
    steps = "siamla.steps.release"
    monkeypatch.setattr(f"{steps}.read_model", lambda path: file)
    monkeypatch.setattr(f"{steps}.export", lambda model, folder, *_, **__: folder.mkdir())
    reached = {}
    for job in plan.jobs_of("score"):
        if job.names["variant"] == "siamla":
            content = read_json(job.folder / "score.json")
            reached[job.names["seed"]] = content["overall"]["auc"]
    best = max(reached, key=lambda seed: reached[seed])
    card = release("smoke/siamla", "otb100", tmp_path / "out").read_text()
    assert f"`siamla model release smoke/siamla/seed{best}`" in card
    assert f"| OTB <100> | AUC | {reached[best]:.3f} [" in card
    with pytest.raises(UserError, match="with --by PROFILE/VARIANT"):
        release("smoke/siamla")
    with pytest.raises(UserError, match="did you mean 'otb100'"):
        release("smoke/siamla", "otb10", tmp_path / "out")
