"""The network as an engine runs it: two graphs from uint8 crops to numbers that post-processing
needs.

Crops are (B, side, side, 3) uint8, BGR, as they are cut; B is fixed when a graph is traced.
"""

import torch
from torch import Tensor, nn

from siamla.model.siamla import SiamLA


class TemplateGraph(nn.Module):
    """Template crops → the state that the search graph takes."""

    def __init__(self, model: SiamLA) -> None:
        """model: as `siamla.model.fast.for_inference` gives it."""
        super().__init__()
        self.model = model

    def forward(self, template: Tensor) -> Tensor:
        """State (B, L·C, 7, 7), a kernel for each of L levels of C channels, of crops (B, 127, 127,
        3).
        """
        return self.model.embed_template(template.permute(0, 3, 1, 2)).float()


class SearchGraph(nn.Module):
    """Search crops and a template's state → score maps in fp32.

    `cls` (B, 25, 25) is the classification score c in [0, 1], `ltrb` (B, 4, 25, 25) the offsets in
    crop pixels, `loc` (B, 25, 25) the logit of q.
    """

    def __init__(self, model: SiamLA) -> None:
        """model: as `siamla.model.fast.for_inference` gives it."""
        super().__init__()
        self.model = model

    def forward(self, search: Tensor, state: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(cls, ltrb, loc) of crops (B, 255, 255, 3)."""
        cls, ltrb, loc = self.model.track(state, search.permute(0, 3, 1, 2))
        return torch.softmax(cls.float(), dim=1)[:, 1], ltrb.float(), loc[:, 0].float()
