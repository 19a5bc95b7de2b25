"""Memory that a worker lends is used again when, and only when, nobody sees it."""

import copy
import gc
import pickle
from multiprocessing.reduction import ForkingPickler

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from cxistack.adapters import lending  # noqa: E402

SHAPE, DTYPE, SIZE = (3, 5), torch.uint16, 30


@pytest.fixture(autouse=True)
def _nothing_kept():
    lending._kept.clear()
    yield
    lending._kept.clear()


def borrow():
    return lending.lent(SHAPE, DTYPE, SIZE)


def sent(tensor):
    """Return a tensor as it arrives elsewhere; here both processes are one."""
    return pickle.loads(ForkingPickler.dumps(tensor))


def test_what_arrives_is_a_plain_tensor_in_the_same_memory():
    tensor = borrow()
    tensor.numpy()[...] = np.arange(15).reshape(SHAPE)
    other = sent(tensor)
    assert type(other) is type(tensor[0]) is type(tensor.clone()) is torch.Tensor
    assert (other.dtype, tuple(other.shape)) == (DTYPE, SHAPE)
    tensor.numpy()[1, 2] = 99
    assert other.numpy()[1, 2] == 99


def test_memory_is_used_again_when_nobody_sees_it():
    tensor = borrow()
    memory = tensor.memory
    other = sent(tensor)
    assert borrow().memory is not memory  # both see it
    del tensor
    assert borrow().memory is not memory  # it was sent
    view = other[1:]
    del other
    gc.collect()
    assert borrow().memory is not memory  # a view does
    array = view.numpy()
    del view
    assert borrow().memory is not memory
    del array
    again = borrow()
    assert again.memory is memory


def test_what_is_kept_here_is_not_used_again_though_it_came_back():
    tensor = borrow()
    tensor.numpy()[...] = 7
    view = tensor.view(-1)[4:]
    sent(tensor)
    del tensor
    gc.collect()
    assert borrow().memory is not lending._kept[0]
    assert (view.numpy() == 7).all()


def test_what_was_sent_twice_comes_back_twice():
    tensor = borrow()
    memory = tensor.memory
    first, second = sent(tensor), sent(tensor)
    del tensor, first
    assert borrow().memory is not memory
    del second
    assert borrow().memory is memory


def test_what_never_came_back_is_forgotten():
    for _ in range(20):
        ForkingPickler.dumps(borrow())  # a message that nobody takes
    assert len(lending._kept) == lending._MOST
    assert not any(memory.is_back for memory in lending._kept)


def test_memory_fits():
    small = borrow().memory
    assert lending.lent((3, 4), DTYPE, 24).memory is small
    assert lending.lent((2, 2), torch.uint8, 4).memory is not small  # much would lie idle
    assert lending.lent((30, 50), DTYPE, 3000).memory is not small


def test_copies_are_plain():
    tensor = borrow()
    tensor.numpy()[...] = 3
    other = copy.deepcopy(tensor)
    tensor.numpy()[...] = 4
    assert type(other) is torch.Tensor
    assert (other.numpy() == 3).all()
