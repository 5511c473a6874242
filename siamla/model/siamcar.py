"""Public SiamCAR checkpoints: the same network under other names."""

from pathlib import Path

import torch
from torch import Tensor

from siamla.errors import UserError
from siamla.model.checkpoint import empty_model, load_state
from siamla.model.settings import ModelSettings
from siamla.model.siamla import SiamLA
from siamla.model.weights import read_state

SETTINGS = ModelSettings(
    backbone="resnet50", channels=256, tower_depth=4, groups=32, localization="centerness"
)
PREFIXES = {
    "backbone.": "backbone.",
    "down.": "fusion.",
    "car_head.cls_tower.": "head.cls_tower.",
    "car_head.bbox_tower.": "head.reg_tower.",
    "car_head.cls_logits.": "head.cls.",
    "car_head.bbox_pred.": "head.reg.",
    "car_head.centerness.": "head.centerness.",
    **{f"neck.downsample{level + 2}.downsample.0.": f"necks.{level}.conv." for level in range(3)},
    **{f"neck.downsample{level + 2}.downsample.1.": f"necks.{level}.norm." for level in range(3)},
}


def our_name(key: str) -> str | None:
    """Our name of a parameter of a public SiamCAR checkpoint, or None when it has none."""
    for prefix, ours in PREFIXES.items():
        if key.startswith(prefix):
            return ours + key.removeprefix(prefix)
    return None


def convert(public: dict[str, Tensor], file: str) -> SiamLA:
    """The network of a public state dict from `file`; UserError for a key that does not fit."""
    model = empty_model(SETTINGS)
    # counters of batch norm play no part; files before PyTorch 0.4.1 lack them
    weights = model.state_dict()
    state = {name: torch.tensor(0) for name in weights if name.endswith("num_batches_tracked")}
    for key, value in public.items():
        name = our_name(key)
        if name not in weights:
            raise UserError(f"{file}: unknown key {key}; expected SiamCAR with ResNet-50")
        if name == "fusion.weight" and value.ndim == 4:  # stored as a transposed convolution
            value = value.transpose(0, 1).contiguous()
        if value.shape != weights[name].shape:
            shapes = f"{tuple(public[key].shape)}; our {name} has {tuple(weights[name].shape)}"
            raise UserError(f"{file}: {key} has shape {shapes}")
        state[name] = value
    load_state(model, state, file)
    return model.eval()


def load_siamcar(path: Path) -> SiamLA:
    """The network of a public checkpoint; its outputs equal the public code's."""
    return convert(read_state(path), str(path))
