"""SiamCAR is exact: its public names load, and its outputs are the public code's."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from siamla.cli.main import main
from siamla.errors import UserError
from siamla.model.checkpoint import load_model
from siamla.model.siamcar import convert

REFERENCE = Path(__file__).parents[2] / "shared" / "reference"
pytestmark = pytest.mark.skipif(
    not (REFERENCE / "siamcar_keys.tsv").exists(),
    reason="the reference vectors are not part of the repository",
)


def made_up_weights() -> dict[str, Tensor]:
    """The made-up weights by which the reference outputs were computed with the public code."""
    shapes = {}
    for line in (REFERENCE / "siamcar_keys.tsv").read_text().splitlines():
        key, _, shape = line.partition("\t")
        shapes[key] = tuple(int(side) for side in shape.split("x")) if shape.strip() else ()
    state = {}
    for index, key in enumerate(sorted(shapes)):
        shape = shapes[key]
        n = np.asarray(np.random.default_rng(1000 + index).standard_normal(shape), np.float32)
        if key.endswith("num_batches_tracked"):
            state[key] = torch.tensor(0)
            continue
        if key.endswith("running_var"):
            value = 1 + 0.1 * np.abs(n)
        elif key.endswith("running_mean"):
            value = 0.01 * n
        elif len(shape) == 1:
            value = 1 + 0.05 * n if key.endswith("weight") else 0.01 * n
        else:
            fan_in = shape[0] if key == "down.weight" else int(np.prod(shape[1:]))
            value = n * np.sqrt(1 / fan_in)
        state[key] = torch.from_numpy(np.asarray(value, np.float32))
    return state


@pytest.fixture(scope="module")
def state() -> dict[str, Tensor]:
    return made_up_weights()


def test_outputs_match_the_public_code(state: dict[str, Tensor], tmp_path: Path) -> None:
    wrapped = {"state_dict": {f"module.{key}": value for key, value in state.items()}, "epoch": 19}
    torch.save(wrapped, tmp_path / "public.pth")
    public, ours = str(tmp_path / "public.pth"), tmp_path / "ours.pt"
    assert main(["model", "import", public, "--out", str(ours)]) == 0
    model, rng = load_model(ours), np.random.default_rng(7)
    template, search = (
        torch.from_numpy(rng.integers(0, 256, (1, 3, side, side)).astype(np.float32))
        for side in (127, 255)
    )
    expected = np.load(REFERENCE / "siamcar_vector.npz")
    with torch.no_grad():
        whole = model(template, search)
        tracked = model.track(model.embed_template(template), search)
    for output in (whole, tracked):
        for part, name in zip(output, ("cls", "loc", "cen"), strict=True):
            np.testing.assert_allclose(part.numpy(), expected[name], atol=1e-4)


def test_a_key_that_does_not_fit_is_named(state: dict[str, Tensor], tmp_path: Path) -> None:
    for change, message in (
        ({"rpn_head.cls.weight": torch.zeros(3)}, "x.pth: unknown key rpn_head.cls.weight"),
        ({"down.weight": torch.zeros(512, 256, 1, 1)}, r"down.weight has shape \(512, 256, 1, 1\)"),
        (
            {"neck.downsample2.downsample.1.bias": torch.full((256,), torch.nan)},
            "necks.0.norm.bias holds NaN",
        ),
    ):
        with pytest.raises(UserError, match=message):
            convert({**state, **change}, "x.pth")
    with pytest.raises(UserError, match=r"no key fusion.bias"):
        convert({key: value for key, value in state.items() if key != "down.bias"}, "x.pth")
