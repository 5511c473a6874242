"""Engines have the numbers of the network, whatever runs it; what was compiled is never stale."""

import gc
import os
import signal
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tiny import HARDWARE, LAFA, SMALL
from torch import Tensor, nn

from siamla.data.crop import crop, fill_colour, mean_colour
from siamla.engine import engines, openvino_engine
from siamla.engine.engines import entry, prepare, resolve_engine
from siamla.engine.graph import SearchGraph, TemplateGraph
from siamla.engine.network import Maps
from siamla.engine.settings import EngineName
from siamla.errors import UserError
from siamla.experiment.step import engine_code
from siamla.hardware import Hardware
from siamla.model.fast import for_inference
from siamla.model.settings import Lafa
from siamla.model.siamla import Output, SiamLA, build_model
from siamla.provenance.code import sources
from siamla.tracker.loading import tracker_of
from siamla.tracker.settings import TrackerSettings

CPU = torch.device("cpu")
ENGINES = [name for name in get_args(EngineName) if name != "auto"]
BARE = Lafa(nonlocal_block=False, aggregation_block=False)
KINDS = {
    "siamcar": SMALL,
    "siamla": LAFA,
    "scaled": LAFA.model_copy(update={"lafa": Lafa(scale_attention=True)}),
    "bare": LAFA.model_copy(update={"lafa": BARE}),
    "resnet50": LAFA.model_copy(update={"backbone": "resnet50"}),
}
QUICK = ("siamcar", "siamla")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A machine that has compiled nothing, on one thread; its cache folder."""
    monkeypatch.setenv("SIAMLA_CACHE", str(tmp_path / "cache"))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield tmp_path / "cache" / "engines"
    torch.set_num_threads(threads)


def needs(engine: str) -> None:
    """Skip the test where the engine is not installed."""
    if find_spec(entry(engine).package) is None:
        pytest.skip(f"{engine} is not installed")


def network(kind: str) -> SiamLA:
    """A network whose every part has its say in the maps: larger random weights, and batch norms
    with statistics.
    """
    model = build_model(KINDS[kind], seed=0).eval()
    noise = torch.Generator().manual_seed(1)
    lowest = {"weight": 0.5, "running_var": 0.5, "running_mean": -0.5}
    with torch.no_grad():
        for name, layer in model.named_modules():
            if isinstance(layer, nn.BatchNorm2d):
                for part, low in lowest.items():
                    value = getattr(layer, part)
                    value.copy_(torch.rand(value.shape, generator=noise) + low)
            elif isinstance(layer, nn.Conv2d) and name.startswith(("head", "lafa")):
                layer.weight.mul_(5)
    return model


def crops(side: int, count: int = 1, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (count, side, side, 3), dtype=np.uint8)


def tensor(images: NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(images).permute(0, 3, 1, 2)


@torch.inference_mode()
def expected(model: SiamLA, template: NDArray[np.uint8], search: NDArray[np.uint8]) -> Output:
    """What the network itself says."""
    return model.track(model.embed_template(tensor(template)), tensor(search))


def close(found: Maps, output: Output, atol: float = 1e-4) -> None:
    np.testing.assert_allclose(found.cls, torch.softmax(output.cls, 1)[:, 1], atol=atol, rtol=0)
    np.testing.assert_allclose(found.loc, output.loc[:, 0], atol=atol, rtol=0)
    np.testing.assert_allclose(found.ltrb, output.ltrb, atol=0.02, rtol=0)
    assert all(part.dtype == np.float32 for part in found)


@pytest.mark.parametrize("kind", KINDS)
def test_the_graphs_say_what_the_network_says(kind: str) -> None:
    model = network(kind)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    template, search = crops(127), crops(255, seed=1)
    output = expected(model, template, search)
    assert output.cls.std() > 1e-3
    inference = for_inference(model)
    assert not [layer for layer in inference.modules() if isinstance(layer, nn.BatchNorm2d)]
    with torch.inference_mode():
        state = TemplateGraph(inference)(torch.from_numpy(template))
        found = SearchGraph(inference)(torch.from_numpy(search), state)
    close(Maps(*(part.numpy() for part in found)), output, atol=1e-5)
    for key, value in model.state_dict().items():
        assert torch.equal(value, before[key]), f"{key} of the model itself has changed"


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("kind", [*QUICK, "resnet50"])
def test_engines_say_what_the_network_says_for_two_templates(engine: str, kind: str) -> None:
    """Two through one compiled graph: the template's state must not have become a constant."""
    needs(engine)
    model, search = network(kind), crops(255, seed=1)
    ready = prepare(engine, model, HARDWARE)
    outputs = []
    for seed in (2, 3):
        template = crops(127, seed=seed)
        outputs.append(expected(model, template, search))
        close(ready.search(ready.embed(template), search), outputs[-1])
    assert (outputs[0].cls - outputs[1].cls).abs().max() > 0.01


@pytest.mark.parametrize("engine", ENGINES)
def test_a_batch_says_of_each_crop_what_it_says_alone(engine: str) -> None:
    """Also where a tracker looks at two regions with one template: then to the same bits."""
    needs(engine)
    model, template, search = network("siamla"), crops(127, 4), crops(255, 4, seed=1)
    alone, together = prepare(engine, model, HARDWARE), prepare(engine, model, HARDWARE, rows=3)
    for count in range(1, 5):  # fewer than a pass takes, as many, and more
        maps = together.search(together.embed(template[:count]), search[:count])
        for index in range(count):
            one = slice(index, index + 1)
            expected = alone.search(alone.embed(template[one]), search[one])
            for a, b in zip(maps, expected, strict=True):
                assert len(a) == count
                np.testing.assert_allclose(a[one], b, atol=1e-4)
    state = together.embed(template[:1])
    both = together.search(state, search[:2])
    for index in range(2):
        single = together.search(state, search[index : index + 1])
        for a, b in zip(both, single, strict=True):
            np.testing.assert_array_equal(a[index], b[0])


def test_what_was_compiled_is_taken_again_and_never_for_another_network(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needs("openvino")
    model, template, search = network("siamcar"), crops(127), crops(255, seed=1)
    compiled: list[int] = []
    real = openvino_engine.to_openvino
    monkeypatch.setattr(
        openvino_engine, "to_openvino", lambda *given: compiled.append(1) or real(*given)
    )

    def run(network: SiamLA, times: int, hardware: Hardware = HARDWARE, rows: int = 1) -> None:
        ready = prepare("openvino", network, hardware, rows)
        close(ready.search(ready.embed(template), search), expected(network, template, search))
        assert len(compiled) == times

    run(model, 1)
    run(model, 1)
    (file,) = cache.glob("*.bin")
    content = file.read_bytes()
    for times, broken in enumerate((content[:-1], b"", content[:5000] + b"?" + content[5001:]), 2):
        file.write_bytes(broken)
        run(model, times)
    other = network("siamcar")
    with torch.no_grad():
        assert other.head.cls.bias is not None
        other.head.cls.bias[0] += 0.1
    run(other, 5)  # one bias differs
    run(model, 6, Hardware("cpu", "fp32", 2))
    run(model, 7, HARDWARE, rows=2)
    assert len(list(cache.glob("*.bin"))) == 4
    assert not list(cache.glob(".*"))


def test_a_cache_that_cannot_be_written_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    needs("openvino")
    (tmp_path / "file").touch()
    monkeypatch.setenv("SIAMLA_CACHE", str(tmp_path / "file" / "below"))
    prepare("openvino", network("siamcar"), HARDWARE)
    assert "cannot be written" in capsys.readouterr().err


def test_an_engine_that_is_not_installed_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "installed", lambda package: None if package != "torch" else "2.0")
    assert resolve_engine("auto", CPU) == "torch"
    settings = TrackerSettings(engine="openvino", precision="fp32")
    message = r"^tracker.engine: openvino: .* not installed.*siamla\[fast\]"
    with pytest.raises(UserError, match=message):
        tracker_of(network("siamcar"), settings, CPU)


def test_what_auto_is() -> None:
    assert resolve_engine("auto", torch.device("cuda")) == "torch"
    needs("openvino")
    assert resolve_engine("auto", CPU) == "openvino"
    with pytest.raises(UserError, match="openvino runs on a CPU"):
        resolve_engine("openvino", torch.device("cuda"))


def test_the_code_of_engines_that_may_run_is_part_of_a_prediction() -> None:
    auto, torch_alone = (set(sources().definitions(engine_code(e))) for e in ("auto", "torch"))
    compiler = "siamla.engine.openvino_engine:prepare_openvino"
    assert {compiler, "siamla.engine.graph:SearchGraph", "siamla.model.fast:GatherSampler"} <= auto
    assert compiler not in torch_alone


@pytest.mark.parametrize("engine", ["torch", "openvino"])
def test_bf16_is_near(engine: str) -> None:
    """By weights that are cast once, or by the compiler; where the CPU cannot, OpenVINO stays in
    fp32.
    """
    needs(engine)
    model, template, search = network("siamla"), crops(127), crops(255, seed=1)
    ready = prepare(engine, model, Hardware("cpu", "bf16", 1))
    found, output = ready.search(ready.embed(template), search), expected(model, template, search)
    assert np.abs(found.cls - torch.softmax(output.cls, 1)[:, 1].numpy()).max() < 0.1
    assert np.abs(np.log(found.ltrb / output.ltrb.numpy())).max() < 0.1


def test_a_crop_inside_the_image_needs_no_mean() -> None:
    """And has the same bytes as with it; one that crosses the border has the mean."""
    noise = np.random.default_rng(0)
    image = noise.integers(0, 256, (90, 160, 3), dtype=np.uint8)
    kept = 0
    for _ in range(300):
        centre, side = noise.uniform((0, 0), (160, 90)), float(noise.uniform(5, 90))
        size = int(noise.choice([127, 255]))
        fill = fill_colour(image, centre, side, size)
        kept += fill == (0.0, 0.0, 0.0)
        expected = crop(image, centre, side, size, mean_colour(image))
        np.testing.assert_array_equal(crop(image, centre, side, size, fill), expected)
    assert 30 < kept < 270


def test_signals_arrive_after_many_networks_were_compiled_and_dropped() -> None:
    """A second Core of OpenVINO leaves a freed stack for signals behind, and the next one would end
    the process.
    """
    needs("openvino")
    kept = [prepare("openvino", network(kind), HARDWARE) for kind in QUICK]
    while kept:  # in the order in which they came
        del kept[0]
        gc.collect()
    got: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: got.append(number))
    try:
        os.kill(os.getpid(), signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert got == [signal.SIGTERM]
