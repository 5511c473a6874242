"""PyTorch as the engine: the reference on a CPU; on a GPU a frame is one replayed CUDA graph."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from siamla.engine.engines import Engine
from siamla.engine.graph import SearchGraph, TemplateGraph
from siamla.engine.network import Crops, Maps, Network
from siamla.grid import KERNEL, SEARCH
from siamla.hardware import Hardware
from siamla.model.fast import for_inference
from siamla.model.siamla import SiamLA

RECORDS = "cuda"  # the kind of device on which a frame is recorded as a graph


def embedding(template: TemplateGraph, device: torch.device) -> Callable[[Crops], Tensor]:
    """Template crops → state on the device; once a sequence, so that other engines take it, too."""

    @torch.inference_mode()
    def embed(crops: Crops) -> Tensor:
        return template(torch.from_numpy(crops).to(device)).contiguous()

    return embed


def _cast(model: SiamLA) -> None:
    """Weights to bf16 once, where autocast would cast at each call; the correlation stays fp32."""
    model.correlation.register_forward_hook(lambda _, inputs, maps: maps.to(torch.bfloat16))
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d | nn.GroupNorm):
            layer.to(torch.bfloat16)
            layer.register_forward_pre_hook(
                lambda _, inputs: tuple(x.to(torch.bfloat16) for x in inputs)
            )


def _captured(
    search: SearchGraph, state: Tensor, crops: Tensor
) -> Callable[[Tensor, Tensor], Tensor]:
    """The packed search as a CUDA graph, for inputs shaped like `state` and `crops`."""
    state, crops = state.clone(), crops.clone()
    aside = torch.cuda.Stream()
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):
        # chooses algorithms and fills the allocator, neither of which may be recorded
        for _ in range(3):
            _packed(search, state, crops)
    torch.cuda.current_stream().wait_stream(aside)
    recording = torch.cuda.CUDAGraph()
    with torch.cuda.graph(recording):
        out = _packed(search, state, crops)

    def run(new_state: Tensor, new_crops: Tensor) -> Tensor:
        state.copy_(new_state)
        crops.copy_(new_crops)
        recording.replay()
        return out

    return run


def _packed(search: SearchGraph, state: Tensor, crops: Tensor) -> Tensor:
    """(B, 6, 25, 25): c, l, t, r, b and the logit of q, one tensor that one copy brings back."""
    cls, ltrb, loc = search(crops, state)
    return torch.cat([cls.unsqueeze(1), ltrb, loc.unsqueeze(1)], dim=1)


def prepare_torch(model: SiamLA, hardware: Hardware, rows: int) -> Network:
    """The network on its device and in its precision; on a GPU for so many rows alone."""
    device = hardware.torch_device
    model = for_inference(model).to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if hardware.precision == "bf16":
        _cast(model)
    search, embed = SearchGraph(model), embedding(TemplateGraph(model), device)
    run: Callable[[Tensor, Tensor], Tensor] = partial(_packed, search)
    if device.type == RECORDS:
        with torch.inference_mode():
            state = torch.zeros(rows, model.fusion.in_channels, KERNEL, KERNEL, device=device)
            crops = torch.zeros(rows, SEARCH, SEARCH, 3, dtype=torch.uint8, device=device)
            run = _captured(search, state, crops)

    @torch.inference_mode()
    def track(state: Tensor, crops: Crops) -> Maps:
        images = torch.from_numpy(crops)
        # the graph's own buffer takes them
        images = images if device.type == RECORDS else images.to(device)
        maps = run(state, images).cpu().numpy()
        return Maps(maps[:, 0], maps[:, 1:5], maps[:, 5])

    return Network(embed, track)


ENGINE = Engine(prepare_torch, package="torch", devices=("cpu", "cuda", "mps"))
