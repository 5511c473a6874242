"""`siamla plan --gpu`: what trainings would cost on GPUs that nobody has."""

import re

import pytest
import torch
from conftest import REPOSITORY
from torch import nn
from torch.nn import functional as F
from watched import need_pretence

from siamla.cli.main import main
from siamla.errors import UserError
from siamla.experiment.plan import Plan
from siamla.steps import check
from siamla.steps.costs import GIB, RESERVE, Gpus, cost, costs, flop_of, step
from siamla.training.pretence import NAME, pretended

need_pretence()

SMOKE = Plan.load("smoke", REPOSITORY / "params")


def test_memory_and_arithmetic_of_a_layer_are_those_on_paper() -> None:
    with pretended() as gpu:
        x = torch.zeros(8, 16, 10, 10, device=NAME)
        layer = nn.Conv2d(16, 32, 3, padding=1, bias=False).to(NAME)
        out = layer(x)
        flop = 2 * 8 * 100 * 32 * 16 * 9
        assert gpu.flop == flop
        assert gpu.peak == x.nbytes + layer.weight.nbytes + out.nbytes
        F.relu(out, inplace=True)
        assert gpu.peak == x.nbytes + layer.weight.nbytes + out.nbytes
        del out
        x.new_zeros(x.shape)
        assert gpu.peak == x.nbytes + layer.weight.nbytes + 2 * x.nbytes
    assert x.nbytes % 512 == 0


def test_a_step_takes_more_with_more_pairs_and_less_memory_in_parts() -> None:
    spec = SMOKE.spec("siamla")
    few, many = step(spec, 4), step(spec, 16)
    assert many.flop == 4 * few.flop
    assert 2 < many.memory / few.memory < 4
    frozen = step(spec, 16, frozen=True)
    assert frozen.flop < many.flop / 1.5
    parts = step(spec, 16, accumulate=4)
    assert frozen.memory < parts.memory < many.memory
    assert many.flop < parts.flop < 1.5 * many.flop
    course = spec.training
    whole = few.flop / 4 * (course.epochs - course.frozen_epochs)
    whole += frozen.flop / 16 * course.frozen_epochs
    assert flop_of(spec) == pytest.approx(whole * course.pairs_per_epoch)


def test_the_least_accumulation_that_fits_is_told() -> None:
    spec = SMOKE.spec("siamla")
    peaks = [step(spec, 4, parts).memory for parts in (1, 2, 4)]
    assert peaks == sorted(peaks, reverse=True)
    for accumulate, peak in zip((1, 2, 4), peaks, strict=True):
        one = cost("siamla", spec, Gpus(peak + RESERVE, 100))
        assert (one.accumulate, one.peak) == (accumulate, peak)
    with pytest.raises(UserError, match=r"siamla takes [\d.]+ GiB with --accumulate 4"):
        cost("siamla", spec, Gpus(peaks[-1] + RESERVE - 1, 100))
    halves = cost("siamla", spec, Gpus(24 * GIB, 100, count=2))
    assert halves.peak < peaks[0]
    assert halves.rate == pytest.approx(2 * cost("siamla", spec, Gpus(24 * GIB, 100)).rate)


def test_the_table_has_a_row_a_training_and_says_what_is_assumed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(REPOSITORY)
    words = ["plan", "--profile", "smoke", "--gpu"]
    assert main([*words, "8 GiB", "--tflops", "20"]) == 0
    text = capsys.readouterr().out
    assert text.strip() == costs(SMOKE, Gpus(8 * GIB, 20))
    rows = [line.split(" | ") for line in text.splitlines() if line.startswith("| siam")]
    assert [row[0] for row in rows] == ["| siamcar", "| siamla"]
    flop = sum(float(row[4]) for row in rows)
    (told,) = re.findall(r"all trainings: ([\d.e+]+) FLOP, .* at 20 TFLOP/s", text)
    assert float(told) == pytest.approx(flop, rel=0.01)
    assert "disk of crops: not known of smoke_train" in text
    assert "assumed: 20 TFLOP/s" in text
    assert main([*words, "1GiB"]) == main([*words, "9GiB", "--gpus", "5"]) == 2
    first, second = capsys.readouterr().err.splitlines()
    assert "--gpu 1GiB: siamcar takes 1.0" in first
    assert "--gpus 5: siamcar has 4 pairs in a batch; at most 4 share them" in second
    assert main([*words, "9GiB", "train", "siamla", "1"]) == 2
    assert "leave out train siamla 1" in capsys.readouterr().err
    for wrong in (["24"], ["0GiB"], ["9GiB", "--tflops", "0"], ["9GiB", "--gpus", "0"]):
        with pytest.raises(SystemExit):
            main([*words, *wrong])
    assert "'24', expected a size with its unit, like 24GiB" in capsys.readouterr().err


def test_the_check_says_what_long_trainings_cost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "SLOW_STEPS", 5)
    monkeypatch.setattr("siamla.steps.costs.TFLOPS", 1e-3)
    (line,) = check._length(SMOKE)
    found = re.search(
        r"2 trainings of up to 6 steps are planned: ([\d.]+) GPU days at 0.001 T", line
    )
    flop = sum(flop_of(SMOKE.spec(name)) for name in ("siamcar", "siamla"))
    assert found
    assert float(found[1]) == pytest.approx(flop / 1e9 / 86400, abs=0.051)
    assert "disk of crops: not known of smoke_train; `siamla plan --gpu 24GiB" in line
