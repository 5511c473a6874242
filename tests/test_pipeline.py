"""The pipeline on the `smoke` profile: what runs again after a change, and what travels."""

import json
import os
import resource
import shutil
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest
from chaos import outcome, rows
from conftest import COMMAND, Tree

from siamla.model.checkpoint import read_model
from siamla.tracker.settings import TrackerSettings

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

TABLES = {"make_table 3"}
BENCHMARKS = ("otb100", "got10k")
PAIRS = {(benchmark, variant) for benchmark in BENCHMARKS for variant in ("siamcar", "siamla")}
CHAIN = ["train {0}", *(f"{job} {b} {{0}}" for job in ("predict", "score") for b in BENCHMARKS)]
SUMMARY = {"collect_scores", *TABLES}
VARIANTS = "params/variants.yaml"
SMOKE = "params/profiles/smoke.yaml"
PROTOCOLS = "params/protocols.yaml"
LOSSES = "siamla/training/losses.py"
MINE = (
    "\n  mine:\n    label: Mine\n    extends: siamla\n    set: {loss.regression: 2.0,"
    ' "labels.lambda": 0.4}\n'
)


def chain(variant: str) -> set[str]:
    """The jobs that a new training brings with it."""
    return {job.format(variant) for job in CHAIN} | SUMMARY


def siamla(tree: Tree, words: str) -> str:
    """What a command prints, which must end well."""
    done = tree.call("siamla", *words.split())
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_one_command_makes_the_table(tree: Tree, undisturbed: dict[str, object]) -> None:
    table = (tree.folder / "reports/smoke/tables/table3.md").read_text()
    assert "SiamCAR" in table
    assert "these numbers mean nothing" in table  # the caption says what the data were
    measured = rows(tree.folder / "results/smoke/scores.csv")
    assert {(row["benchmark"], row["variant"]) for row in measured} == PAIRS
    assert len(undisturbed["weights"]) == 2  # type: ignore[arg-type]


def record_of(tree: Tree, folder: str) -> Path:
    """The one record of a result."""
    (record,) = (tree.folder / folder).glob("record-*.json")
    return record


def test_a_number_is_traced_from_its_table_to_weights_and_data(tree: Tree) -> None:
    sources = json.loads((tree.folder / "reports/smoke/tables/table3.sources.json").read_text())
    folder = "results/smoke/scores/otb100/siamla/seed1"
    score = json.loads(record_of(tree, folder).read_text())
    assert sources["made_from"][folder] == {"key": score["key"], "content": score["content"]}
    origin = sources["origins"][folder]
    model = read_model(tree.folder / "results/smoke/train/siamla/seed1/model.pt")
    assert origin["training"]["content"] == origin["predictions"]["inputs"]["model"] == model.digest
    assert model.label == "SiamLA (LADL + LALS + LAFA)"
    assert model.tracker.keys() == TrackerSettings.model_fields.keys()
    data = json.loads(record_of(tree, "data/curated/smoke/otb100").read_text())
    assert origin["inputs"]["data"] == data["content"]
    assert origin["training"]["place"]["device"].startswith(("cpu", "cuda"))
    assert origin["predictions"]["place"]["engine"].split()[0] in ("openvino", "torch")


def test_a_second_run_does_nothing_and_is_quick(tree: Tree) -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert "Nothing to be done" in tree.run()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    busy = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert busy < 8  # seconds of processor time: wall time depends on what else the machine does


def test_a_new_variant_trains_alone(tree: Tree) -> None:
    with (
        tree.kept(),
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


def test_a_folder_of_video_and_an_imported_tracker_by_one_entry_each(tree: Tree) -> None:
    """With a blank in the folder's name; VOT's runs are in the DAG, too."""
    with tree.kept():
        shutil.copytree(tree.folder / "data/raw/smoke_otb", tree.folder / "street clips")
        results = tree.folder / "results/imported/otb100"
        siamla(
            tree,
            "results import results/smoke/predictions/otb100/siamcar/seed1 --as copy"
            " --benchmark otb100 --out results/imported/otb100",
        )
        entry = (
            "\n  street: {layout: otb, root: street clips, label: Street, frames: 5}\n  vot2018:"
            " {layout: vot, root: data/raw/smoke_vot, dvc: synthesize@smoke_vot, variants:"
            " [siamcar]}\n\nimported:\n  copy: {label: Copied, results: {otb100:"
            " results/imported/otb100/copy}}\n\nseeds:"
        )
        before = outcome(tree)["weights"]
        with tree.edited(SMOKE, "\n\nseeds:", entry):
            tree.run()
            header = (tree.folder / "reports/smoke/tables/table3.csv").read_text().splitlines()[0]
            assert "street.auc" in header
            report = json.loads((tree.folder / "data/curated/smoke/street/report.json").read_text())
            assert report["frames"] == 5 * report["sequences"]
            scores = {
                (r["benchmark"], r["variant"], r["metric"]): r["value"]
                for r in rows(results.parents[1] / "smoke/scores.csv")
            }
            assert float(scores["otb100", "copy", "auc"]) == pytest.approx(
                float(scores["otb100", "siamcar", "auc"]), abs=2e-3
            )
            assert ("vot2018", "siamcar", "eao") in scores
            truth = min((tree.folder / "street clips").rglob("groundtruth_rect.txt"))
            row = truth.read_text().splitlines()[2]
            other = ("1" if row[0] != "1" else "2") + row[1:]  # as long as before
            truth.write_text(truth.read_text().replace(row, other))
            assert tree.planned() == set()
            siamla(tree, "data fetch street --profile smoke")
            again = {f"{step} street siamcar" for step in ("predict", "score")}
            again |= {job.replace("siamcar", "siamla") for job in again}
            assert tree.planned() == {"curate street", *again} | SUMMARY
        assert outcome(tree)["weights"] == before


NOTHING = (
    (LOSSES, '"""The losses', '# a comment\n"""Of the losses'),
    ("siamla/training/loop.py", "no step had a usable loss", "no loss was usable"),
    ("siamla/progress.py", '"mininterval": 10', '"mininterval": 20'),
)
WORDS = (
    (VARIANTS, "label: SiamCAR", "label: The baseline"),
    (SMOKE, "these numbers mean nothing", "for testing only"),
    (PROTOCOLS, "label: AUC", "label: Area"),
)


@pytest.mark.parametrize(
    ("edits", "expected"),
    [
        (NOTHING, set()),
        (WORDS, TABLES),
        ([(LOSSES, "beta: float = 10.0", "beta: float = 9.0")], chain("siamcar") | chain("siamla")),
    ],
    ids=["comment, message, progress", "words", "constant"],
)
def test_a_change_reruns_exactly_what_it_should(
    tree: Tree, edits: Sequence[tuple[str, str, str]], expected: set[str]
) -> None:
    with ExitStack() as stack:
        for edit in edits:
            stack.enter_context(tree.edited(*edit))
        assert tree.planned() == expected


def test_data_that_were_away_and_are_back_rerun_nothing(tree: Tree) -> None:
    """Brought back by DVC, or rendered again."""
    data = tree.folder / "data/raw/smoke_otb"
    before = {path.relative_to(data): path.read_bytes() for path in data.rglob("*.*")}
    for words in ("dvc commit --force", "dvc checkout"):
        done = tree.call(*words.split(), "synthesize@smoke_otb")
        assert done.returncode == 0, done.stdout
        assert {path.relative_to(data): path.read_bytes() for path in data.rglob("*.*")} == before
        assert tree.planned() == set()
        shutil.rmtree(data)
    tree.call("git", "checkout", "dvc.lock")  # of another processor its entry may have changed
    siamla(tree, "data fetch otb100 --profile smoke")
    assert {path.relative_to(data): path.read_bytes() for path in data.rglob("*.*")} == before
    assert tree.planned() == set()


def test_a_run_leaves_the_work_tree_clean(tree: Tree) -> None:
    assert tree.call("git", "status", "--porcelain").stdout == ""


def test_code_that_changed_no_number_is_accepted(
    tree: Tree, undisturbed: dict[str, object]
) -> None:
    """TINY is of a post-processing that is not used; torch.half is another name."""
    with (
        tree.kept(),
        tree.edited("siamla/tracker/postprocess.py", "TINY = 1e-3", "TINY = 2e-3"),
        tree.edited("siamla/training/features.py", "STORED = torch.float16", "STORED = torch.half"),
    ):
        assert "train siamcar" in tree.planned()
        said = siamla(tree, "plan accept --profile smoke")
        assert "not accepted" not in said
        assert said.count("accepted: train") == 1
        assert said.count("accepted: predict") == 2  # one for each layout: their code differs
        assert "0 of   4 to run" in siamla(tree, "plan --profile smoke")
        tree.run()
        assert outcome(tree) == undisturbed


def test_two_profiles_run_at_once_in_one_clone(tree: Tree, undisturbed: dict[str, object]) -> None:
    other = tree.folder / "params/profiles/smoke2.yaml"
    other.write_text((tree.folder / SMOKE).read_text())
    try:
        tree.remove(
            "reports/smoke", "results/smoke/scores*", "results/smoke/predictions/otb100/siamla"
        )
        first = tree.start()
        tree.wait_for(tree.exists(".snakemake/locks/*.lock"), first)
        until = ("--cores", "1", "--config", "profile=smoke2", "--until", "curate")
        second = tree.call("snakemake", *until)
        assert second.returncode == 0, second.stdout
        assert first.wait(300) == 0, tree.log.read_text()
        assert outcome(tree) == undisturbed
        assert record_of(tree, "data/curated/smoke2/otb100").is_file()
        assert not (tree.folder / "results/smoke2/train").exists()
    finally:
        other.unlink()
        tree.remove("results/smoke2", "reports/smoke2", "data/*/smoke2")


def test_results_travel_without_snakemakes_memory(tree: Tree, tmp_path: Path) -> None:
    """To a path with a blank and an umlaut; times are scrambled, data stay."""
    place = tmp_path / "Mein Gerät" / "siamla clone"
    left = {"data", "results", "reports", ".snakemake"}

    def behind(folder: str, names: list[str]) -> set[str]:
        return left & set(names) if Path(folder) == tree.folder else set()

    shutil.copytree(tree.folder, place, ignore=behind)
    shutil.copytree(
        tree.folder / "results/smoke",
        place / "results/smoke",
        ignore=shutil.ignore_patterns("*.csv", "logs"),
    )
    (place / "data/raw").mkdir(parents=True)
    records = sorted(place.rglob("record-*.json"), reverse=True)
    for number, record in enumerate(records):
        os.utime(record, (1e9 + number, 1e9 + number))
    there = Tree(place)
    made = {path: path.stat().st_mtime_ns for path in records}
    assert len(made) == 10
    assert there.planned() == SUMMARY
    there.run()
    assert {path: path.stat().st_mtime_ns for path in made} == made
    assert not list((place / "data").glob("r*/*"))
    table = "reports/smoke/tables/table3.md"
    assert (place / table).read_text() == (tree.folder / table).read_text()
    with there.edited(SMOKE, "lr_start: 1.0e-3", "lr_start: 2.0e-3"):
        done = there.call("siamla", "report", "table", "3", "--profile", "smoke")
        assert done.returncode == 2
        assert "settings.training.lr_start is 0.001, the plan has 0.002" in done.stdout
        assert "train siamla" in there.planned()


def test_a_model_file_tracks_a_folder_as_the_pipeline_does(tree: Tree) -> None:
    """And no folder that somebody else made is written into."""
    model = "results/smoke/train/siamcar/seed1/model.pt"
    words = f"benchmark run {model} --layout otb --root data/raw/smoke_otb --out"
    before = sorted(path.as_posix() for path in (tree.folder / "results").rglob("*"))
    done = tree.call("siamla", *words.split(), "results")
    assert done.returncode == 2
    assert "results: is not empty and was not made by `siamla benchmark run`" in done.stdout
    assert sorted(path.as_posix() for path in (tree.folder / "results").rglob("*")) == before
    siamla(tree, f"{words} mine")
    ours = tree.folder / "results/smoke/predictions/otb100/siamcar/seed1"
    for path in sorted(ours.glob("Smoke??.txt")):
        assert (tree.folder / "mine" / path.name).read_bytes() == path.read_bytes()
    tree.remove("mine")


def test_a_model_is_measured_on_crops_and_its_model_decides_when_anew(tree: Tree) -> None:
    command = "benchmark alignment otb100 siamcar --profile smoke"
    folder = "results/smoke/alignment/otb100/siamcar/seed1"
    siamla(tree, command)
    crops = tree.folder / folder / "crops.json"
    numbers = json.loads(crops.read_text())
    assert set(numbers) == {"Smoke01", "Smoke02", "Smoke03"}
    assert all(0 <= each["chosen"] <= each["best"] <= 1 for each in numbers.values())
    written = record_of(tree, folder).stat().st_mtime_ns
    look = "plan alignment otb100 siamcar 1 --profile smoke"
    assert "up to date" in siamla(tree, look)
    with tree.edited(SMOKE, "{precision: fp32}", "{precision: fp32, window: 0.3}"):
        assert "up to date" in siamla(tree, look)  # no window on crops
    with tree.edited(SMOKE, "lr_start: 1.0e-3", "lr_start: 2.0e-3"):
        said = siamla(tree, look)
        assert "model.settings.training.lr_start is 0.001, the plan has 0.002" in said
    siamla(tree, command)
    assert record_of(tree, folder).stat().st_mtime_ns == written
    crops.write_text("{}")
    siamla(tree, command)
    assert json.loads(crops.read_text()) == numbers
    tree.remove("results/smoke/alignment")


def test_damaged_features_are_noticed_named_and_made_again(tree: Tree) -> None:
    (chunk,) = tree.folder.glob("data/features/smoke/*/chunk-00000.bin")
    record = record_of(tree, "results/smoke/train/siamcar/seed1")
    sound, trained = chunk.read_bytes(), record.read_bytes()
    chunk.write_bytes(sound[:1000] + bytes([sound[1000] ^ 1]) + sound[1001:])
    record.unlink()
    done = tree.call("siamla", "train", "run", "siamcar", "--profile", "smoke")
    assert done.returncode == 2
    assert (
        "chunk-00000.bin has changed since it was made; delete data/features/smoke/" in done.stdout
    )
    assert not list((tree.folder / "results/smoke/state").glob("train*"))
    record.write_bytes(trained)
    done = tree.call("siamla", "verify", "--profile", "smoke")
    assert done.returncode == 2
    assert "1 have changed:\n- data/features/smoke/" in done.stdout
    siamla(tree, "train features siamcar --profile smoke")
    assert chunk.read_bytes() == sound
    done = tree.call("siamla", "verify", "--profile", "smoke")
    assert done.returncode == 0, done.stdout
    assert "other views are what their records say" in done.stdout


def test_without_mlflow_the_tables_come_out_and_a_later_sync_completes_it(
    tree: Tree, undisturbed: dict[str, object]
) -> None:
    made = [f"results/smoke/{kind}/siamcar" for kind in ("train", "predictions/*", "scores/*")]
    tree.remove("reports/smoke", "results/smoke/*.csv", *made)
    done = tree.call(*COMMAND, MLFLOW_TRACKING_URI="http://127.0.0.1:9")
    assert done.returncode == 0, done.stdout
    assert outcome(tree) == undisturbed
    assert "siamla mlflow sync" in done.stdout
    siamla(tree, "mlflow sync --profile smoke")
