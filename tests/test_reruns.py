"""Which edits rerun what: of settings, of the package's code, and a new setting that is neutral.

The edits of code are made in a copy of the package, of which a plan takes its digests.
"""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import REPOSITORY
from plans import Change, differing, titles

from siamla.experiment.plan import Plan
from siamla.experiment.spec import Spec, plain
from siamla.provenance.code import Sources
from siamla.settings import neutral
from siamla.training.settings import LossWeights

TRACKED = ("predict *", "maps *", "score *")
TRAINED = ("train *", *TRACKED, "alignment *")
CROPPED = ("crops *", "features *", *TRAINED)

# --- settings ---


def variant(**settings: object) -> dict:
    return {"variants": {"siamla": {"set": settings}}}


def otb(**settings: object) -> dict:
    return {"otb100": settings}


METRIC = {"precision10": {"label": "Precision at 10", "better": "higher", "digits": 3}}
AUC = {"label": "Area under curve", "digits": 4}
STREET = {"layout": "otb", "root": "street"}


STRICTER = {"precision": {"report": {"precision10": 10}}}
CHANGES = {
    "label": ({"variants": {"variants": {"siamcar": {"label": "Baseline"}}}}, ["table 3"]),
    "caption": ({"smoke": {"caption": "Another."}}, ["table 3"]),
    "words of a protocol": ({"protocols": otb(metrics={"auc": AUC}, title="OTB")}, ["table 3"]),
    "another benchmark": ({"smoke": {"benchmarks": {"street": STREET}}}, ["table 3"]),
    "loss": ({"variants": variant(**{"loss.regression": 2.0})}, ["*siamla*"]),
    "tracker of a variant": (
        {"variants": variant(**{"tracker.size_lr": 0.5})},
        ["predict*siamla*", "maps*siamla*", "score*siamla*"],
    ),
    "tracker of a profile": ({"smoke": {"spec": {"tracker": {"size_lr": 0.5}}}}, TRACKED),
    "metric": (
        {"protocols": otb(metrics=METRIC, onepass=STRICTER)},
        ["score*otb100*", "table 3"],
    ),
    "threshold": ({"protocols": otb(onepass={"success": {"count": 41}})}, ["score*otb100*"]),
    "benchmark's generator": ({"synthetic": {"smoke_otb": {"seed": 9}}}, ["*otb100*"]),
    "generator": ({"synthetic": {"smoke_train": {"seed": 9}}}, ["*smoke_train", *CROPPED]),
    "another seed": ({"smoke": {"seeds": [2, 1]}}, []),  # its score is a reason for the table
}


@pytest.mark.parametrize(("files", "rerun"), CHANGES.values(), ids=CHANGES)
def test_a_change_of_settings_reruns_what_it_decides(
    changed: Change, files: dict, rerun: list[str]
) -> None:
    before = changed()
    after = changed(**files)
    assert differing(before, after) == titles(before, *rerun)


def test_a_changed_dvc_pointer_reruns_all_that_is_made_from_it(changed: Change) -> None:
    pointer = Path("data.dvc")
    own = {"benchmarks": {"otb100": {"root": "data/mine", "dvc": "data.dvc"}}}
    pointer.write_text("outs:\n- md5: a.dir\n  path: mine\n")
    before = changed(smoke=own)
    pointer.write_text("outs:\n- md5: b.dir\n  path: mine\n")
    assert differing(before, changed(smoke=own)) == titles(before, "*otb100*")


def test_a_moved_folder_reruns_nothing(changed: Change) -> None:
    own = {"benchmarks": {"otb100": {"root": "here", "dvc": None}}}
    moved = {"benchmarks": {"otb100": {"root": "/elsewhere", "dvc": None}}}
    assert differing(changed(smoke=own), changed(smoke=moved)) == set()


# --- a new setting that is neutral ---


class Weights(LossWeights):
    contrast: float = neutral(0.0, ge=0)


class NewSpec(Spec):
    loss: Weights = Weights()


def test_a_new_setting_at_its_neutral_default_reruns_nothing(changed: Change) -> None:
    def with_contrast(**loss: float) -> Plan:
        plan = Plan.load("smoke")
        for specs in (plan.experiment.models, plan.experiment.specs):
            for name, spec in specs.items():
                values = plain(spec)
                values["loss"] |= loss
                specs[name] = NewSpec.model_validate(values)
        return plan

    before = changed()
    assert differing(before, with_contrast()) == set()
    assert differing(before, with_contrast(contrast=0.5)) == titles(before, *TRAINED)


# --- code ---


class Package:
    """A copy of the package that is edited, and as before after each test."""

    def __init__(self, root: Path) -> None:
        self.root, self._before = root, dict[Path, str | None]()
        compiled = shutil.ignore_patterns("__pycache__")
        shutil.copytree(REPOSITORY / "siamla", root / "siamla", ignore=compiled)

    def plan(self) -> Plan:
        """The smoke profile's plan with digests of this package."""
        plan = Plan.load("smoke")
        plan.code = Sources(self.root)
        return plan

    def write(self, name: str, text: str) -> None:
        path = self.root / "siamla" / name
        self._before.setdefault(path, path.read_text() if path.exists() else None)
        path.write_text(text)

    def edit(self, name: str, old: str, new: str) -> None:
        text = (self.root / "siamla" / name).read_text()
        assert old in text, f"{name}: no {old!r}"
        self.write(name, text.replace(old, new))

    def restore(self) -> None:
        for path, text in self._before.items():
            path.unlink() if text is None else path.write_text(text)
        self._before.clear()


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Package:
    return Package(tmp_path_factory.mktemp("package"))


@pytest.fixture
def package(copied: Package, params: Path) -> Iterator[Package]:
    yield copied
    copied.restore()


def new_layout(package: Package) -> None:
    package.edit("data/layout.py", '"vot", "plain"]', '"vot", "plain", "mine"]')
    package.write("data/formats/mine.py", "ORIGIN = 0\n\n\ndef read(root, name):\n    return 1\n")


def new_training_set(package: Package) -> None:
    package.edit("data/layout.py", '"imagenet_vid", ', '"imagenet_vid", "mine", ')
    package.write("data/sources/mine.py", "LAYOUT = ''\n")


def new_backbone(package: Package) -> None:
    package.edit("model/settings.py", 'Literal["resnet50", ', 'Literal["resnet50", "mine", ')
    package.write("model/backbones/mine.py", "BACKBONE = object\n")


def new_engine(package: Package) -> None:
    package.edit("engine/settings.py", '"openvino"]', '"openvino", "mine"]')
    package.write("engine/mine_engine.py", "ENGINE = None\n")


def edits(*changes: tuple[str, str, str]) -> Callable[[Package], None]:
    """Replacements of text in files."""

    def edit(package: Package) -> None:
        for change in changes:
            package.edit(*change)

    return edit


LOSSES = "training/losses.py"
NOTHING = {
    "text of the bar": edits(("training/course.py", '"train", "step"', '"training", "step"')),
    "words beside it": edits(("training/course.py", "} pairs/s,", "} pairs a second,")),
    "interval of the bar": edits(("progress.py", '"mininterval": 10', '"mininterval": 20')),
    "how often a state is saved": edits(("training/course.py", "= 10.0", "= 30.0")),
    "when a training gives up": edits(("training/course.py", "IN_A_ROW = 20", "IN_A_ROW = 30")),
    "how many states are kept": edits(("training/course.py", "KEPT = 3", "KEPT = 5")),
    "annotation": edits((LOSSES, "target: Tensor) -> Tensor:", "target: object):")),
    "local variable": edits((LOSSES, "spread", "width")),
    "comment": edits((LOSSES, '"""Eq. 5', '# a comment\n    """Eq. 5')),
    "docstring": edits((LOSSES, '"""Eq. 5', '"""Equation 5')),
    "error": edits(("training/loop.py", "no step had a usable loss", "no loss was usable")),
    "unused function": edits((LOSSES, "def iou(", "def unused():\n    pass\n\n\ndef iou(")),
    "another layout": new_layout,
    "another training set": new_training_set,
    "another backbone": new_backbone,
    "another engine": new_engine,
    "the network that is not used": edits(("model/backbones/resnet50.py", "stride", "pace")),
    "the command line": edits(("cli/plan.py", "not accepted", "refused")),
    "a step's own work": edits(("steps/train.py", "model.pt", "weights.pt")),
}


@pytest.mark.parametrize("edit", NOTHING.values(), ids=NOTHING)
def test_an_edit_of_code_that_decides_nothing_reruns_nothing(
    package: Package, edit: Callable[[Package], None]
) -> None:
    before = package.plan()
    titles(before)  # now, before the files change
    edit(package)
    assert differing(before, package.plan()) == set()


DECISIVE = {
    "constant of a loss": ((LOSSES, "beta: float = 10.0", "beta: float = 9.0"), TRAINED),
    "which cells are positive": (
        ("training/targets.py", "self.centre | ", "self.centre & "),
        TRAINED,
    ),
    "schedule": (("training/loop.py", "math.pi * progress", "math.pi * progress**2"), TRAINED),
    "when the backbone thaws": (
        ("training/step.py", "epoch >= settings.frozen_epochs", "epoch > settings.frozen_epochs"),
        TRAINED,
    ),
    "mean of an epoch": (("training/loop.py", "np.mean", "np.median"), TRAINED),
    "order of pairs": (("training/batches.py", "BLOCK = 4", "BLOCK = 8"), TRAINED),
    "stored features": (
        ("training/features.py", "STORED = torch.float16", "STORED = torch.float32"),
        ("features *", *TRAINED),
    ),
    "backbone": (
        ("model/backbones/efficientnet_lite0.py", "EPSILON = 1e-3", "EPSILON = 1e-5"),
        ("features *", *TRAINED),
    ),
    "shards of crops": (("data/crops.py", "SHARDS = 64", "SHARDS = 32"), CROPPED),
    "reader of a layout": (
        ("data/formats/otb.py", '"Diving": (1, 215)', '"Diving": (1, 214)'),
        ["curate otb100", "*otb100*siam*"],
    ),
    "post-processing": (("tracker/postprocess.py", "MIN_SIZE = 1.0", "MIN_SIZE = 2.0"), TRACKED),
    "metric": (
        ("benchmark/metrics.py", "np.sqrt(x * x + y * y)", "np.hypot(x, y)"),
        ["score *"],
    ),
    "speed": (("benchmark/speed.py", "seconds > 0", "seconds >= 0"), ["score *"]),
    "crops around the truth": (
        ("benchmark/alignment.py", "SHIFT = 0.25", "SHIFT = 0.5"),
        ["align*"],
    ),
    "chosen frames": (("benchmark/maps.py", "np.linspace(", "np.geomspace("), ["maps *"]),
    "table": (("report/tables/build.py", 'Cell(text="–")', 'Cell(text="-")'), ["table 3"]),
}


@pytest.mark.parametrize(("edit", "rerun"), DECISIVE.values(), ids=DECISIVE)
def test_an_edit_of_code_that_decides_reruns_what_uses_it(
    package: Package, edit: tuple[str, str, str], rerun: list[str]
) -> None:
    before = package.plan()
    expected = titles(before, *rerun)
    package.edit(*edit)
    assert differing(before, package.plan()) == expected
