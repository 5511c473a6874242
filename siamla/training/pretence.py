"""A GPU that is not there: its tensors have a shape, a type and a place, and no numbers.

A training or a network runs on it in seconds, without its memory. What this shows is what does not
depend on numbers: that all tensors are where and of what type they should be, and what memory and
arithmetic they take. Convolutions choose no algorithm here, so that it says nothing of speed.
Experimental and private names of PyTorch stand here and in tests/watched.py alone. PyTorch takes
this device before a real one: a process that computes must not pretend.
"""

import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only
from torch.utils.flop_counter import flop_registry

from siamla.errors import UserError
from siamla.hardware import Hardware, Precision

NAME = "fakegpu"
# what autocast computes in the lower precision, and in fp32, of what the network calls; as on CUDA
LOWER = "conv2d linear matmul mm bmm addmm baddbmm scaled_dot_product_attention"
HIGHER = "exp group_norm softmax.int log_softmax.int"
AUTOCAST = "AutocastPrivateUse1"
BLOCK = 512  # bytes that CUDA's allocator rounds up to


def _cast(value: Any, kind: torch.dtype) -> Any:
    """Tensors on the device in that type, alone or in lists; anything else as it is."""
    if isinstance(value, Tensor) and value.device.type == NAME and value.is_floating_point():
        return value if value.dtype == torch.float64 else value.to(kind)
    return [_cast(each, kind) for each in value] if isinstance(value, list | tuple) else value


def _autocast(operator: Any, fixed: torch.dtype | None) -> Callable[..., Any]:
    """The operator as autocast has it, in a type that is fixed or the one that was asked for."""
    key = torch._C.DispatchKeySet(getattr(torch._C.DispatchKey, AUTOCAST))

    def run(*args: Any, **named: Any) -> Any:
        kind = fixed or torch.get_autocast_dtype(NAME)
        with torch._C._ExcludeDispatchKeyGuard(key):
            cast = {name: _cast(value, kind) for name, value in named.items()}
            return operator(*(_cast(each, kind) for each in args), **cast)

    return run


@cache
def _register() -> tuple[torch.library.Library, ...]:
    """Make the device known to this process. UserError where this PyTorch cannot."""
    try:
        from torch.utils.backend_registration import (
            _DummyBackendModule,
            _setup_privateuseone_for_python_backend,
        )

        class Device(_DummyBackendModule):
            def get_amp_supported_dtype(self) -> list[torch.dtype]:
                return [torch.float16, torch.bfloat16]

        _setup_privateuseone_for_python_backend(NAME, Device())
        rest, aten = torch.library.Library("_", "IMPL"), torch.library.Library("aten", "IMPL")
        rest.fallback(torch.library.fallthrough_kernel, AUTOCAST)
        for names, kind in ((LOWER, None), (HIGHER, torch.float32)):
            for name in names.split():
                packet, _, overload = name.partition(".")
                operator = getattr(getattr(torch.ops.aten, packet), overload or "default")
                aten.impl(operator, _autocast(operator, kind), AUTOCAST)
        aten.impl("_fused_sgd_", lambda *args, **named: None, "Meta")  # it works in place
    except (ImportError, AttributeError, RuntimeError) as error:
        raise UserError(
            f"PyTorch {torch.__version__} cannot pretend to have a GPU ({error}); 2.13 can"
        ) from None
    return rest, aten


def _apply(self: nn.Module, change: Callable[[Tensor], Tensor], recurse: bool = True) -> nn.Module:
    """In place of nn.Module._apply, which cannot swap such tensors: parameters become others."""
    for module in self.modules():
        for name, old in module._parameters.items():
            if old is not None:
                module._parameters[name] = nn.Parameter(change(old.detach()), old.requires_grad)
        for name, buffer in module._buffers.items():
            module._buffers[name] = None if buffer is None else change(buffer)
    return self


class Pretence(TorchDispatchMode):
    """Runs every operator on tensors without numbers.

    Attributes:
        peak: the most bytes that tensors of the device held at a time.
        flop: floating point operations, two for a multiplication with its addition.
    """

    def __init__(self, fakes: Any) -> None:
        super().__init__()
        self.peak = self.flop = self._held = 0
        self._fakes = fakes
        self._alive: dict[int, weakref.ref[torch.UntypedStorage]] = {}

    def _fake(self, value: Tensor) -> Tensor:
        known = isinstance(value, torch._subclasses.FakeTensor)
        return value if known else self._fakes.from_tensor(value)

    def _hold(self, made: Tensor) -> None:
        """Count the tensor's memory, as CUDA hands it out, until nobody has it any more."""
        storage = made.untyped_storage()
        key, size = storage._cdata, -(-storage.nbytes() // BLOCK) * BLOCK

        def release(gone: object) -> None:
            del self._alive[key]
            self._held -= size

        if made.device.type == NAME and key not in self._alive:
            self._alive[key] = weakref.ref(storage, release)
            self._held += size
            self.peak = max(self.peak, self._held)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        args, named = tree_map_only(Tensor, self._fake, (args, kwargs or {}))
        name = func.overloadpacket.__name__
        if name == "_pin_memory":
            return args[0].clone()
        if name == "is_pinned":
            return False
        if name == "_local_scalar_dense":
            return 0 if args[0].dtype == torch.bool else 1
        out = func(*args, **named)
        if func.overloadpacket in flop_registry:
            self.flop += flop_registry[func.overloadpacket](*args, **named, out_val=out)
        tree_map_only(Tensor, self._hold, out)
        return out


@contextmanager
def pretended() -> Iterator[Pretence]:
    """In the block there is the device NAME, and no tensor has numbers; those from outside are
    taken without. What is asked for as a number is 1, as a truth False. UserError where PyTorch is
    too old.
    """
    _register()
    from torch._subclasses.fake_tensor import FakeTensorMode

    fakes = FakeTensorMode(allow_non_fake_inputs=True)
    with mock.patch.object(nn.Module, "_apply", _apply), fakes, Pretence(fakes) as pretence:
        yield pretence


def pretended_gpu(precision: Precision) -> Hardware:
    """A GPU for `pretended`."""
    return Hardware(f"{NAME}: none", precision, threads=1)
