"""What happens on a pretended GPU: where the CPU would wait for it, and what a graph forbids."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import siamla
from siamla.errors import UserError
from siamla.training import pretence
from siamla.training.pretence import NAME, pretended

PACKAGE = str(Path(siamla.__file__).parent)
STRICT = {"convolution", "convolution_backward", "mm", "bmm", "addmm", "baddbmm"}  # of one type
COPIES = ("_to_copy", "copy_", "_foreach_copy_")
UNKNOWN = {torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape}


class Wait(NamedTuple):
    """What would make the CPU wait for the GPU, or may not be recorded in a graph.

    Attributes:
        what: the operator.
        where: module and function of the package that called it, "step optimise"; of a gradient,
            who called the backward pass.
        line: of that module.
    """

    what: str
    where: str
    line: int


def tensors(*values: Any) -> list[Tensor]:
    return [each for each in tree_leaves(values) if isinstance(each, Tensor)]


class Watched(TorchDispatchMode):
    """Notes what operators do; they are run as without it.

    Attributes:
        ran: operators, each with the type of its first tensor.
        waits: where the CPU would wait for the GPU.
        recording: whether what runs now would be recorded as a CUDA graph; then what a graph cannot
            repeat is noted, too: any tensor on the CPU.
        summed: shape and bytes of each tensor that went through a collective.
    """

    def __init__(self) -> None:
        super().__init__()
        self.ran: set[tuple[str, torch.dtype | None]] = set()
        self.waits: list[Wait] = []
        self.recording = False
        self.summed: list[tuple[str, tuple[int, ...], int]] = []
        self._pinned: list[Tensor] = []

    def _is_pinned(self, value: Tensor) -> bool:
        storage = value.untyped_storage()._cdata
        return any(each.untyped_storage()._cdata == storage for each in self._pinned)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        named, name, given = kwargs or {}, func.overloadpacket.__name__, tensors(args, kwargs)
        if torch.is_inference_mode_enabled() and func.namespace == "aten":  # they come whole
            with self:
                out = func.decompose(*args, **named)
            if out is not NotImplemented:
                return out
        if name == "is_pinned":
            return self._is_pinned(args[0])
        self.ran.add((name, given[0].dtype if given else None))
        if func.namespace == "c10d":
            self.summed += [(name, tuple(each.shape), each.nbytes) for each in given]
        if self._waits(func, name, given, named):
            self._note(name)
        kinds = {each.dtype for each in given}
        if name in STRICT and len(kinds) > 1:
            raise RuntimeError(f"{name} of tensors of several types: {sorted(map(str, kinds))}")
        out = func(*args, **named)
        if name == "_pin_memory":
            self._pinned.append(out)
        if self.recording and any(each.device.type != NAME for each in (*given, *tensors(out))):
            self._note(f"{name} on the CPU")
        return out

    def _waits(self, func: Any, name: str, given: list[Tensor], named: Any) -> bool:
        places = {each.device.type for each in given}
        if name in COPIES:
            target = named.get("device")
            places = places | {target.type} if target is not None else places
            whence = given[-1]  # the last, since copy_ has the target first
            early = named.get("non_blocking") and self._is_pinned(whence)
            return len(places) > 1 and not (whence.device.type == "cpu" and early)
        if name in ("index", "index_put", "index_put_"):
            return any(each.dtype in (torch.bool, torch.uint8) for each in given[1:])
        return NAME in places and bool(UNKNOWN & set(func.tags))

    def _note(self, what: str) -> None:
        frame = sys._getframe(2)
        others = (__file__, pretence.__file__)
        while frame.f_back is not None and (
            not frame.f_code.co_filename.startswith(PACKAGE) or frame.f_code.co_filename in others
        ):
            frame = frame.f_back
        where = f"{Path(frame.f_code.co_filename).stem} {frame.f_code.co_name}"
        self.waits.append(Wait(what, where, frame.f_lineno))


def need_pretence() -> None:
    """Skip the module that calls this where no GPU can be pretended, or a real one is there."""
    if torch.cuda.is_available():
        reason = "in one process PyTorch would take the pretended GPU before the real one"
        pytest.skip(reason, allow_module_level=True)
    try:
        with pretended():
            pass
    except UserError as error:
        pytest.skip(str(error), allow_module_level=True)


@contextmanager
def watched() -> Iterator[Watched]:
    """`pretended`, and what happens there."""
    with pretended(), Watched() as seen:
        yield seen
