"""The forms in siamla.model.fast have the numbers and gradients of what they stand for."""

import pytest
import torch
from torch import Tensor, nn

from siamla.model.fast import (
    BagSampler,
    GatherSampler,
    LearningCorrelation,
    MatrixUpsampling,
    NarrowConv,
    NarrowHead,
    Pointwise,
    ProductsNonLocal,
    RowsNonLocal,
    for_inference,
    for_training,
)
from siamla.model.head import Head
from siamla.model.lafa import NonLocal, Sampler
from siamla.model.settings import Lafa, ModelSettings
from siamla.model.siamla import Correlation, SiamLA, Upsampling, build_model

SMALL = ModelSettings(backbone="efficientnet_lite0", channels=16, tower_depth=1, groups=4)
LAFA = SMALL.model_copy(update={"localization": "lafa"})
KINDS = {
    "siamcar": SMALL,
    "siamla": LAFA,
    "scaled": LAFA.model_copy(update={"lafa": Lafa(scale_attention=True)}),
    "alone": LAFA.model_copy(update={"lafa": Lafa(shared_gradient=False)}),
    "no non-local block": LAFA.model_copy(update={"lafa": Lafa(nonlocal_block=False)}),
    "no aggregation": LAFA.model_copy(update={"lafa": Lafa(aggregation_block=False)}),
}


def noise(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, dtype=torch.float64, generator=generator).requires_grad_()


def points(count: int = 300) -> Tensor:
    """On the map, on its last cells, beyond it, and many on few cells."""
    generator = torch.Generator().manual_seed(0)
    found = torch.rand(2, count, 2, dtype=torch.float64, generator=generator) * 30 - 3
    found[0, :4] = torch.tensor([[0.0, 0.0], [24.0, 24.0], [24.0, 0.5], [-9.0, 99.0]])
    found[1, : count // 2] = 8 + found[1, : count // 2] / 10
    return found


def compare(plain: nn.Module, form: type[nn.Module], *inputs: Tensor | int) -> None:
    """The same outputs, and the same gradients of inputs and weights."""
    wanted = [each for each in inputs if isinstance(each, Tensor) and each.requires_grad]
    wanted += list(plain.parameters())

    def run() -> list[Tensor]:
        out = plain(*inputs)
        parts = [out] if isinstance(out, Tensor) else [part for part in out if part is not None]
        total = sum((part**3).sum() for part in parts)
        return [*parts, *torch.autograd.grad(total, wanted)]

    expected = run()
    plain.__class__ = form
    for a, b in zip(run(), expected, strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("bias", [False, True])
def test_pointwise(bias: bool) -> None:
    compare(nn.Conv2d(6, 4, 1, bias=bias).double(), Pointwise, noise(2, 6, 5, 7))


@pytest.mark.parametrize("factor", [2, 4])
def test_upsampling(factor: int) -> None:
    compare(Upsampling(factor), MatrixUpsampling, noise(2, 3, 9, 9), 7)


def test_correlation() -> None:
    compare(Correlation(), LearningCorrelation, noise(2, 3, 6, 5), noise(2, 3, 3, 3, seed=1))
    inputs = (noise(2, 3, 6, 5), noise(2, 3, 3, 3, seed=1))
    assert torch.autograd.gradcheck(LearningCorrelation(), inputs)


def test_narrow_outputs() -> None:
    compare(nn.Conv2d(6, 2, 3, padding=1).double(), NarrowConv, noise(2, 6, 5, 7))


@pytest.mark.parametrize("localization", ["centerness", "lafa"])
def test_head(localization: str) -> None:
    settings = SMALL.model_copy(update={"localization": localization})
    compare(Head(settings).double(), NarrowHead, noise(2, 16, 5, 5))


@pytest.mark.parametrize("form", [RowsNonLocal, ProductsNonLocal])
@pytest.mark.parametrize("scale", [False, True])
def test_nonlocal(form: type[NonLocal], scale: bool) -> None:
    compare(NonLocal(8, scale).double(), form, noise(2, 8, 4, 4), noise(2, 1, 4, 4, seed=1))


@pytest.mark.parametrize("form", [BagSampler, GatherSampler])
def test_samples(form: type[Sampler]) -> None:
    """Also of rows that many samples share, and of rows that none takes."""
    compare(Sampler(), form, noise(2, 5, 25, 25), points())
    ramp = torch.arange(25.0).expand(25, 25)
    features = torch.stack([ramp, ramp.T])[None]
    anywhere = torch.tensor([[[3.25, 7.5], [-4.0, 30.0], [24.0, 24.0]]])
    assert form()(features, anywhere)[0].tolist() == [[3.25, 7.5], [0, 24], [24, 24]]


def numbers(model: SiamLA) -> list[Tensor]:
    """The maps of two pairs."""
    generator = torch.Generator().manual_seed(0)
    template, search = (
        torch.randint(0, 256, (2, 3, side, side), generator=generator) for side in (127, 255)
    )
    return [*model(template, search)]


@pytest.mark.parametrize("kind", KINDS)
def test_a_network_trains_in_its_forms_as_printed(kind: str) -> None:
    """Maps, gradients and the statistics of the batch norms; names of the weights stay."""
    plain = build_model(KINDS[kind], seed=0).train()
    fast = for_training(build_model(KINDS[kind], seed=0).train())
    assert list(plain.state_dict()) == list(fast.state_dict())
    for expected, found in zip(numbers(plain), numbers(fast), strict=True):
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
    for model in (plain, fast):
        cls, ltrb, loc = numbers(model)
        (cls[:, 1].mean() + ltrb.log().mean() + loc.mean()).backward()
    for (name, a), b in zip(plain.named_parameters(), fast.parameters(), strict=True):
        assert (a.grad is None) == (b.grad is None), name
        if a.grad is not None:
            torch.testing.assert_close(b.grad, a.grad, atol=1e-5, rtol=1e-3, msg=name)
    for a, b in zip(plain.necks.buffers(), fast.necks.buffers(), strict=True):
        torch.testing.assert_close(b, a)


@pytest.mark.parametrize("kind", KINDS)
def test_a_network_is_run_in_its_forms_as_printed(kind: str) -> None:
    """Whether it comes from a file or from a training; and it stays as it is."""
    model = build_model(KINDS[kind], seed=0).eval()
    with torch.no_grad():
        expected = numbers(model)
        for source in (model, for_training(build_model(KINDS[kind], seed=0))):
            found = numbers(for_inference(source))
            for a, b in zip(found, expected, strict=True):
                torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-4)
        assert all(torch.equal(a, b) for a, b in zip(numbers(model), expected, strict=True))
