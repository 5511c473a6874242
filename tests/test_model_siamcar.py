"""SiamCAR is exact: public names load, and the outputs are those that the public code computed."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from siamla.cli.main import main
from siamla.errors import UserError
from siamla.model.checkpoint import empty_model, load_model
from siamla.model.siamcar import PREFIXES, SETTINGS, convert

REFERENCE = Path(__file__).parents[2] / "shared" / "reference"
# What the public code computed with the made-up weights and crops below: the logits of background
# and target, l, t, r, b in crop pixels, and the logit of the centre-ness.
MEANS = [-0.74042, -0.81248, 0.61236, 1.26445, 1.67870, 0.96300, 0.41685]
CELLS = {
    (0, 0): [-0.57854, -0.42074, 0.56264, 1.58702, 1.25624, 1.21347, 0.40588],
    (12, 12): [-0.86419, -0.76569, 0.58403, 1.25267, 1.65618, 0.94558, 0.55746],
    (5, 20): [-0.70490, -0.91463, 0.63116, 1.30461, 1.39490, 0.89883, 0.38280],
}


def public_shapes() -> dict[str, tuple[int, ...]]:
    """The names of a public checkpoint, with shapes; its fusion is a transposed convolution."""
    shapes, theirs = {}, {ours: public for public, ours in PREFIXES.items()}
    for name, value in empty_model(SETTINGS).state_dict().items():
        prefix = next(each for each in theirs if name.startswith(each))
        shapes[theirs[prefix] + name.removeprefix(prefix)] = tuple(value.shape)
    return shapes | {"down.weight": (768, 256, 1, 1)}


def made_up_weights() -> dict[str, Tensor]:
    """The made-up weights by which the reference outputs were computed with the public code."""
    shapes = public_shapes()
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


def crops() -> tuple[Tensor, Tensor]:
    """A made-up template and search crop."""
    rng = np.random.default_rng(7)
    sides = (rng.integers(0, 256, (1, 3, side, side)) for side in (127, 255))
    template, search = (torch.from_numpy(side.astype(np.float32)) for side in sides)
    return template, search


@pytest.fixture(scope="module")
def outputs(state: dict[str, Tensor], tmp_path_factory: pytest.TempPathFactory) -> list[np.ndarray]:
    """What the imported network says, (7, 25, 25) by channel, of a pair and as it tracks."""
    folder = tmp_path_factory.mktemp("siamcar")
    public, ours = folder / "public.pth", folder / "ours.pt"
    wrapped = {"state_dict": {f"module.{key}": value for key, value in state.items()}, "epoch": 19}
    torch.save(wrapped, public)
    assert main(["model", "import", str(public), "--out", str(ours)]) == 0
    model = load_model(ours)
    template, search = crops()
    with torch.no_grad():
        found = model(template, search), model.track(model.embed_template(template), search)
    return [torch.cat([*output], dim=1)[0].numpy() for output in found]


def test_outputs_are_those_of_the_public_code(outputs: list[np.ndarray]) -> None:
    for maps in outputs:
        np.testing.assert_allclose(maps.mean((1, 2)), MEANS, atol=1e-4)
        for (row, column), values in CELLS.items():
            np.testing.assert_allclose(maps[:, row, column], values, atol=1e-4)


@pytest.mark.skipif(
    not (REFERENCE / "siamcar_keys.tsv").exists(),
    reason="all that the public code computed is not part of the repository",
)
def test_outputs_match_the_public_code(outputs: list[np.ndarray]) -> None:
    shapes = {}
    for line in (REFERENCE / "siamcar_keys.tsv").read_text().splitlines():
        key, _, shape = line.partition("\t")
        shapes[key] = tuple(int(side) for side in shape.split("x")) if shape.strip() else ()
    assert public_shapes() == shapes
    computed = np.load(REFERENCE / "siamcar_vector.npz")
    expected = np.concatenate([computed[name][0] for name in ("cls", "loc", "cen")])
    for maps in outputs:
        np.testing.assert_allclose(maps, expected, atol=1e-4)


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
