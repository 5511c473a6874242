"""The pipeline on the `smoke` profile: what runs again after a change, and what a kill leaves behind (nothing)."""

import csv
import json
import re
import resource
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import COMMAND, Tree

from siamla.files import sha256

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

TABLES = {"make_table 3"}
CHAIN = ("train {0}", "predict otb100 {0}", "predict got10k {0}", "score otb100 {0}", "score got10k {0}")
SUMMARY = {"collect_scores", "sync_tracking", *TABLES}
VARIANTS = "params/variants.yaml"
SMOKE = "params/profiles/smoke.yaml"
LOSSES = "siamla/training/losses.py"
MINE = '\n  mine:\n    label: Mine\n    extends: siamla\n    set: {loss.regression: 2.0, "labels.lambda": 0.4}\n'
SPEED = re.compile("fps|second|speed|latency", re.IGNORECASE)


def chain(variant: str) -> set[str]:
    """The jobs that a new training brings with it."""
    return {job.format(variant) for job in CHAIN} | SUMMARY


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as handle:
        return list(csv.DictReader(handle))


def outcome(tree: Tree) -> dict[str, object]:
    """Everything that must come out the same, to the byte: weights, boxes, scores, table; not the times."""
    results = tree.folder / "results/smoke"
    boxes = [path for path in (results / "predictions").rglob("*.txt") if not path.stem.endswith("_time")]
    scores = [row for row in rows(results / "scores.csv") if not SPEED.search(row["metric"])]
    table = rows(tree.folder / "reports/smoke/tables/table3.csv")
    return {
        "weights": {path.parts[-3]: sha256(path) for path in sorted(results.glob("train/*/*/model.pt"))},
        "boxes": {str(path.relative_to(results)): sha256(path) for path in sorted(boxes)},
        "scores": [(row["benchmark"], row["variant"], row["metric"], row["value"]) for row in scores],
        "table": [[text for name, text in row.items() if not SPEED.search(name)] for row in table],
    }


@pytest.fixture(scope="module")
def undisturbed(tree: Tree) -> dict[str, object]:
    return outcome(tree)


def test_the_copy_is_what_runs(tree: Tree) -> None:
    where = tree.call("python", "-c", "import os; os.chdir('/'); import siamla; print(siamla.__file__)").stdout
    assert Path(where.strip()) == tree.folder / "siamla/__init__.py"


def test_one_command_makes_the_table(tree: Tree, undisturbed: dict[str, object]) -> None:
    table = (tree.folder / "reports/smoke/tables/table3.md").read_text()
    assert "SiamCAR" in table
    assert "these numbers mean nothing" in table  # the caption says what the data were
    measured = rows(tree.folder / "results/smoke/scores.csv")
    assert {(row["benchmark"], row["variant"]) for row in measured} == {
        (benchmark, variant) for benchmark in ("otb100", "got10k") for variant in ("siamcar", "siamla")
    }
    assert len(undisturbed["weights"]) == 2  # type: ignore[arg-type]


def test_a_second_run_does_nothing_and_is_quick(tree: Tree) -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert "Nothing to be done" in tree.run()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    busy = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert busy < 5  # seconds of processor time: wall time would depend on what else the machine does


def test_a_new_variant_trains_alone(tree: Tree) -> None:
    with (
        tree.edited(VARIANTS, "\n  # Table IV", MINE + "\n  # Table IV"),
        tree.edited(SMOKE, "variants: [siamcar, siamla]", "variants: [siamcar, siamla, mine]"),
    ):
        assert tree.planned() == chain("mine")
        before = outcome(tree)["weights"]
        tree.run()
        assert tree.planned() == set()
        after = outcome(tree)["weights"]
        assert isinstance(before, dict)
        assert isinstance(after, dict)
        assert set(after) == {*before, "mine"}
        assert {name: after[name] for name in before} == before
        assert "Mine" in (tree.folder / "reports/smoke/tables/table3.md").read_text()
    tree.remove("results/smoke/*/mine", "results/smoke/*/*/mine", "results/smoke/state/mine-seed1")
    tree.run()


def test_a_folder_of_video_becomes_a_benchmark_by_one_entry(tree: Tree) -> None:
    shutil.copytree(tree.folder / "data/raw/smoke_otb", tree.folder / "street clips")
    entry = "\n  street: {layout: otb, root: street clips, label: Street, frames: 5}\n\nseeds:"
    with tree.edited(SMOKE, "\n\nseeds:", entry):
        tree.run()
        header = (tree.folder / "reports/smoke/tables/table3.csv").read_text().splitlines()[0]
        assert "street.auc" in header
        report = json.loads((tree.folder / "data/curated/smoke/street/report.json").read_text())
        assert report["frames"] == 5 * report["sequences"]
    tree.remove("street clips", "results/smoke/*/street", "data/*/smoke/street*")
    tree.run()


@pytest.mark.parametrize(
    ("name", "old", "new", "expected"),
    [
        (VARIANTS, "label: SiamCAR", "label: The baseline", TABLES),
        (VARIANTS, "label: SiamCAR", "label: SiamCAR\n    set: {loss.regression: 2.5}", None),
        (SMOKE, "these numbers mean nothing", "for testing only", TABLES),
        (LOSSES, '"""The losses', '# a comment\n"""Of the losses', set()),
        (
            LOSSES,
            "alpha: float = 0.5, beta: float = 10.0",
            "alpha: float = 0.5, beta: float = 9.0",
            chain("siamcar") | chain("siamla"),
        ),
        (
            SMOKE,
            "tracker: {precision: fp32}",
            "tracker: {precision: fp32, window: 0.3}",
            (chain("siamcar") | chain("siamla")) - {"train siamcar", "train siamla"},
        ),
        (
            "siamla/report/collect.py",
            "seen: dict[tuple[Any, ...], Path] = {}",
            "seen: dict[tuple[Any, ...], Path] = dict()",
            {"collect_scores", *TABLES},
        ),
    ],
    ids=["label", "loss", "caption", "comment", "constant", "tracker", "report code"],
)
def test_a_change_reruns_exactly_what_it_should(
    tree: Tree, name: str, old: str, new: str, expected: set[str] | None
) -> None:
    """`None` is the chain of siamcar and of what extends it; the smoke profile's siamla sets the same key itself."""
    with tree.edited(name, old, new):
        assert tree.planned() == (chain("siamcar") if expected is None else expected)
    assert tree.planned() == set()


def test_data_brought_back_by_dvc_rerun_nothing(tree: Tree) -> None:
    data = tree.folder / "data/raw/smoke_otb"
    files = {path.relative_to(data): path.stat().st_size for path in data.rglob("*") if path.is_file()}
    shutil.rmtree(data)
    done = tree.call("dvc", "checkout", "synthesize@smoke_otb")
    assert done.returncode == 0, done.stdout
    assert {path.relative_to(data): path.stat().st_size for path in data.rglob("*") if path.is_file()} == files
    assert tree.planned() == set()


def test_another_pipeline_in_the_folder_is_refused(tree: Tree, undisturbed: dict[str, object]) -> None:
    tree.remove("reports/smoke", "results/smoke/scores*", "results/smoke/tracking_audit.json")
    first = tree.start()
    deadline = time.monotonic() + 300
    while not tree.exists(".snakemake/locks/*.lock")():
        assert first.poll() is None, (tree.folder / "background.log").read_text()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    second = tree.call(*COMMAND)
    assert second.returncode == 1
    assert f"another pipeline is running in {tree.folder}" in second.stdout
    assert "Traceback" not in second.stdout
    assert first.wait(300) == 0, (tree.folder / "background.log").read_text()
    assert outcome(tree) == undisturbed


def forget(tree: Tree, *patterns: str) -> None:
    """Delete files, all trainings, and what was made of them: Snakemake does not miss what lies between."""
    kinds = ("train", "state", "predictions", "scores", "scores.csv", "sequences.csv", "tracking_audit.json")
    tree.remove("reports/smoke", *patterns, *(f"results/smoke/{kind}" for kind in kinds))


def stages(tree: Tree) -> list[Callable[[], bool]]:
    """Moments at which a build has written a part of its files: crops, features, a training, a benchmark."""
    return [
        tree.exists("data/crops/smoke/*/*/plan.json"),
        tree.exists("data/features/smoke/*/key"),
        tree.exists("results/smoke/state/*/*/state.pt"),
        tree.exists("results/smoke/predictions/otb100/*/seed1/Smoke*.txt"),
    ]


def test_killed_at_every_stage_it_ends_with_the_same_bytes(tree: Tree, undisturbed: dict[str, object]) -> None:
    """kill -9 of snakemake and all its jobs in the middle of each stage, each time the same command again."""
    forget(tree, "data/crops", "data/features")
    for reached in stages(tree):
        tree.kill_when(reached)
    tree.run()
    assert outcome(tree) == undisturbed
    assert tree.planned() == set()
    assert not list((tree.folder / "data").rglob("*.tmp"))


def test_orphans_of_a_killed_snakemake_do_no_harm(tree: Tree, undisturbed: dict[str, object]) -> None:
    """kill -9 of snakemake alone: its jobs still work when the same command starts, which waits for them."""
    forget(tree, "data/features")
    for reached in stages(tree)[1:]:
        tree.kill_when(reached, orphans=True)
    tree.run()
    assert outcome(tree) == undisturbed
    assert tree.planned() == set()
