"""The forms in siamla.model.fast have the numbers and gradients of what they stand for."""

import pytest
import torch
from tiny import LAFA, SMALL, images
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
    for_training,
)
from siamla.model.head import Head
from siamla.model.lafa import NonLocal, Sampler
from siamla.model.settings import Lafa
from siamla.model.siamla import Correlation, Upsampling, build_model

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


NONLOCAL = noise(2, 8, 4, 4), noise(2, 1, 4, 4, seed=1)
FORMS: list[tuple[nn.Module, type[nn.Module], tuple[Tensor | int, ...]]] = [
    (nn.Conv2d(6, 4, 1, bias=False), Pointwise, (noise(2, 6, 5, 7),)),
    (nn.Conv2d(6, 4, 1), Pointwise, (noise(2, 6, 5, 7),)),
    (Upsampling(2), MatrixUpsampling, (noise(2, 3, 9, 9), 7)),
    (Upsampling(4), MatrixUpsampling, (noise(2, 3, 9, 9), 7)),
    (Correlation(), LearningCorrelation, (noise(2, 3, 6, 5), noise(2, 3, 3, 3, seed=1))),
    (nn.Conv2d(6, 2, 3, padding=1), NarrowConv, (noise(2, 6, 5, 7),)),
    (Head(SMALL), NarrowHead, (noise(2, 16, 5, 5),)),
    (Head(LAFA), NarrowHead, (noise(2, 16, 5, 5),)),
    (NonLocal(8, scale=False), RowsNonLocal, NONLOCAL),
    (NonLocal(8, scale=True), RowsNonLocal, NONLOCAL),
    (NonLocal(8, scale=False), ProductsNonLocal, NONLOCAL),
    (NonLocal(8, scale=True), ProductsNonLocal, NONLOCAL),
    # also rows that many samples share, and rows that none takes
    (Sampler(), BagSampler, (noise(2, 5, 25, 25), points())),
    (Sampler(), GatherSampler, (noise(2, 5, 25, 25), points())),
]


@pytest.mark.parametrize(("plain", "form", "inputs"), FORMS, ids=lambda value: repr(value)[:20])
def test_a_form_has_the_numbers_and_gradients_of_what_it_stands_for(
    plain: nn.Module, form: type[nn.Module], inputs: tuple[Tensor | int, ...]
) -> None:
    plain.double()
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


@pytest.mark.parametrize("kind", KINDS)
def test_a_network_trains_in_its_forms_as_printed(kind: str) -> None:
    """Maps, gradients and the statistics of the batch norms; names of the weights stay."""
    plain = build_model(KINDS[kind], seed=0).train()
    fast = for_training(build_model(KINDS[kind], seed=0).train())
    assert list(plain.state_dict()) == list(fast.state_dict())
    for expected, found in zip(plain(*images(2)), fast(*images(2)), strict=True):
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
    for model in (plain, fast):
        cls, ltrb, loc = model(*images(2))
        (cls[:, 1].mean() + ltrb.log().mean() + loc.mean()).backward()
    for (name, a), b in zip(plain.named_parameters(), fast.parameters(), strict=True):
        assert (a.grad is None) == (b.grad is None), name
        if a.grad is not None:
            torch.testing.assert_close(b.grad, a.grad, atol=1e-5, rtol=1e-3, msg=name)
    for a, b in zip(plain.necks.buffers(), fast.necks.buffers(), strict=True):
        torch.testing.assert_close(b, a)
