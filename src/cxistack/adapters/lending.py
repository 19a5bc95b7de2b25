"""Memory that a loader's worker lends to its loader, and uses again when it has come back.

What a worker reads goes to the loader's process in shared memory. The first touch of new memory
takes longer than decoding into it; so a worker keeps what it has sent. It counts how often memory
was sent, and the loader's process counts in the memory itself how often nothing there saw it any
more. Memory is used again when both are alike and nothing in the worker sees it either; where a
count is never told, as of a message that was lost, other memory is taken.

Importing this imports torch.
"""

from __future__ import annotations

import threading
import weakref
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .missing import missing

try:
    import torch
except ModuleNotFoundError as error:
    raise missing("torch", "data sets for PyTorch") from error

__all__ = ["LEAST", "Lent", "lent"]

LEAST = 1 << 20  # bytes: less is sent as it is
_MOST = 8  # pieces of memory that a worker keeps: others belong to who sees them
_COUNT = 8  # bytes at the end, in which the loader's process counts


class _Seen(np.ndarray[Any, Any]):
    """An array of which it is known when nobody sees it any more."""


def _nobody() -> None:
    return None


class _Memory:
    """Shared memory of a worker."""

    def __init__(self, size: int) -> None:
        self.size = -(-size // _COUNT) * _COUNT
        self.shared = torch.empty(0, dtype=torch.uint8)
        self.shared.set_(torch.UntypedStorage._new_shared(self.size + _COUNT))
        _count(self.shared)[0] = 0
        self.sent = 0
        self.seen: Callable[[], Any] = _nobody

    @property
    def is_back(self) -> bool:
        """Whether nobody sees it, here or where it was sent."""
        return self.seen() is None and int(_count(self.shared)[0]) == self.sent


_kept: deque[_Memory] = deque(maxlen=_MOST)
_counting = threading.Lock()  # a thread of the loader's may pin what another lets go


class Lent(torch.Tensor):
    """A tensor in lent memory; what is made of it is a plain tensor.

    Where it is sent it is a plain tensor, too, whose memory goes back when nothing sees it.
    """

    __torch_function__ = torch._C._disabled_torch_function_impl
    memory: _Memory

    def __reduce_ex__(self, protocol: Any) -> Any:
        self.memory.sent += 1
        return _arrived, (self.memory.shared, self.dtype, tuple(self.shape), self.nbytes)

    def __deepcopy__(self, memo: Any) -> Any:
        return self.clone()


def lent(shape: tuple[int, ...], dtype: Any, size: int) -> Any:
    """Return a tensor of so many bytes in memory that came back, or in new memory."""
    fits = (one for one in _kept if size <= one.size <= 2 * size and one.is_back)
    memory = next(fits, None)
    if memory is None:
        memory = _Memory(size)
        _kept.append(memory)
    array = memory.shared[:size].numpy().view(_Seen)
    memory.seen = weakref.ref(array)
    tensor = torch.from_numpy(array).view(dtype).view(shape).as_subclass(Lent)
    tensor.memory = memory
    return tensor


def _arrived(shared: Any, dtype: Any, shape: tuple[int, ...], size: int) -> Any:
    """Return a tensor in memory that goes back when neither it nor a view of it is there."""
    array = shared[:size].numpy().view(_Seen)  # what sees the tensor's memory holds the array
    weakref.finalize(array, _give_back, shared).atexit = False
    return torch.from_numpy(array).view(dtype).view(shape)


def _give_back(shared: Any) -> None:
    with _counting:
        _count(shared)[0] += 1


def _count(shared: Any) -> NDArray[np.int64]:
    """Return where the loader's process counts what it gives back."""
    count: NDArray[np.int64] = shared.numpy()[-_COUNT:].view(np.int64)
    return count
