"""Data sets for PyTorch: every frame is there once, and right, however a loader is made."""

import gc
import itertools
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from cxistack import CastError, Crop, CXIProtocol, CXIStore, Downscale, FrameIndexError
from factory import DATA, DISTANCE, MASK, TRANSLATIONS, frames, good_mask, put

torch = pytest.importorskip("torch")

from torch.utils.data import DataLoader, Subset  # noqa: E402

from cxistack.adapters.torch import (  # noqa: E402
    FrameBatch,
    FrameDataset,
    IterableFrameDataset,
    collate,
)

BAD = (1, 2)
COUNT = 15

# A loader forks beside threads: that is the point.
pytestmark = pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")


@pytest.fixture(scope="module")
def names(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    return [
        put(
            folder / f"{n}.cxi",
            {
                DATA: frames(5, start=200 * n),
                MASK: good_mask((5, 7), [BAD]),
                TRANSLATIONS: np.arange(15.0).reshape(5, 3) + 15 * n,
                DISTANCE: 0.5,
            },
        )
        for n in range(3)
    ]


@pytest.fixture(scope="module")
def whole():
    return np.concatenate([frames(5, start=200 * n) for n in range(3)])


@pytest.fixture
def store(names):
    with CXIStore(names) as store:
        yield store


def check(batch, numbers, whole):
    """Hold batches of all attributes against what they must be."""
    numbers = np.asarray(numbers)
    assert batch["data"].dtype == torch.uint16
    np.testing.assert_array_equal(batch["data"].numpy(), whole[numbers])
    mask = good_mask((5, 7), [BAD])
    np.testing.assert_array_equal(batch["mask"], np.broadcast_to(mask, (len(numbers), 5, 7)))
    expected = np.arange(45.0).reshape(COUNT, 3)[numbers]
    np.testing.assert_array_equal(batch["translations"], expected)


ATTRIBUTES = ["data", "mask", "translations"]


def walk(loader, whole):
    """Return the numbers of the frames that a loader gives; each is right."""
    seen = []
    for batch, numbers in loader:
        check(batch, numbers, whole)
        seen += numbers.tolist()
    return seen


class TestFrames:
    def test_items_are_frames_by_number(self, store, whole):
        data = FrameDataset(store, "data")
        assert len(data) == COUNT
        for index in (0, 7, -1):
            assert data[index].dtype == torch.uint16
            np.testing.assert_array_equal(data[index].numpy(), whole[index])
        with pytest.raises(IndexError):
            data[COUNT]
        assert len(list(data)) == COUNT

    def test_a_batch_is_one_tensor_in_any_order(self, store, whole):
        batch = FrameDataset(store, "data").__getitems__([3, 3, 14, 0])
        assert isinstance(batch, FrameBatch)
        np.testing.assert_array_equal(batch.whole.numpy(), whole[[3, 3, 14, 0]])
        assert all(one.data_ptr() == batch.whole[k].data_ptr() for k, one in enumerate(batch))

    def test_idxs_say_which_frames_items_are(self, store, whole):
        data = FrameDataset(store, "data", [-1, 4, 4], numbered=True)
        assert [number for _, number in data] == [14, 4, 4]
        np.testing.assert_array_equal(data[1][0].numpy(), whole[4])

    @pytest.mark.parametrize("collation", [None, collate], ids=["torch's", "ours"])
    def test_a_loader_without_workers(self, store, whole, collation):
        data = FrameDataset(store, ATTRIBUTES, numbered=True)
        loader = DataLoader(data, batch_size=4, shuffle=True, collate_fn=collation)
        assert sorted(walk(loader, whole)) == list(range(COUNT))
        some = DataLoader(Subset(data, [8, 2]), batch_size=2, collate_fn=collation)
        assert walk(some, whole) == [8, 2]

    def test_our_collation_copies_nothing(self, store):
        data = FrameDataset(store, "data")
        batch = data.__getitems__([1, 2])
        assert collate(batch) is batch.whole
        assert collate([data[1], data[2]]).shape == (2, 5, 7)

    def test_a_mask_for_all_frames_takes_the_memory_of_one(self, names):
        store = CXIStore(names[0])
        data = FrameDataset(store, ["data", "mask"])
        batches = IterableFrameDataset(store, ["data", "mask"], 5)
        for batch in (collate(data.__getitems__([1, 2, 0, 0, 3])), next(iter(batches))):
            assert (batch["mask"].shape, batch["mask"].stride()[0]) == ((5, 5, 7), 0)
            np.testing.assert_array_equal(batch["mask"][4], good_mask((5, 7), [BAD]))

    def test_frames_are_transformed_cast_and_masked(self, store, whole):
        how = {"transform": Crop([1, 5, 0, 6]), "dtype": torch.float32, "masked": "nan"}
        data = FrameDataset(store, ["data", "mask"], **how)
        expected = whole[6, 1:5, :6].astype(np.float32)
        expected[0, 2] = np.nan
        np.testing.assert_array_equal(data[6]["data"], expected)
        assert data[6]["mask"].shape == (4, 6)
        assert data[6]["mask"].dtype == torch.bool
        small = FrameDataset(store, "data", transform=Downscale(2, mode="sum"))
        np.testing.assert_array_equal(small[6].numpy(), Downscale(2, mode="sum").forward(whole[6]))
        types = FrameDataset(store, ATTRIBUTES, dtype={"data": "int32", "translations": "float32"})
        assert types[0]["data"].dtype == torch.int32
        assert types[0]["translations"].dtype == torch.float32

    @pytest.mark.parametrize("dtype", ["bool", "u1", "i1", "i2", "u2", ">u2", "i4", "u4", "i8",
                                       "u8", "f2", "f4", "f8", "c8", "c16"])  # fmt: skip
    def test_types_are_kept(self, tmp_path, dtype):
        array = frames(3, dtype=np.dtype(dtype).newbyteorder("=")).astype(dtype)
        protocol = CXIProtocol({"data": "number"}, {"data": [DATA]}, {"data": "stack"})
        if dtype == "bool":
            protocol = CXIProtocol({"data": "bool"}, {"data": [DATA]}, {"data": "stack"})
        how = {"dtype": dtype} if dtype.startswith("c") else {}
        data = FrameDataset(
            CXIStore(put(tmp_path / "a.cxi", {DATA: array}), "r", protocol), "data", **how
        )
        np.testing.assert_array_equal(data[2].numpy(), array[2])
        assert data[2].numpy().dtype == array.dtype.newbyteorder("=")

    def test_what_torch_has_no_type_for_is_said(self, store, tmp_path):
        with pytest.raises(TypeError, match=r"bfloat16.*read float32, and cast the tensor"):
            FrameDataset(store, "data", dtype=torch.bfloat16)
        name = put(tmp_path / "a.cxi", {DATA: frames(2, dtype=np.longdouble)})
        with pytest.raises(TypeError, match="'data' is float128, of which torch has no tensors"):
            FrameDataset(CXIStore(name, protocol="cxi"), "data")

    def test_text_is_lists(self, tmp_path):
        name = put(tmp_path / "a.cxi", {DATA: frames(3), "/who": ["a", "b", "c"]})
        protocol = CXIProtocol.import_default().add_attribute("who", "str", ["/who"], "sequence")
        data = FrameDataset(CXIStore(name, protocol=protocol), ["data", "who"])
        for collation in (None, collate):
            (batch,) = DataLoader(data, batch_size=3, collate_fn=collation)
            assert batch["who"] == ["a", "b", "c"]

    def test_what_cannot_be_is_an_error_at_once(self, store, tmp_path):
        with pytest.raises(ValueError, match="'distance' has no frame axis"):
            FrameDataset(store, "distance")
        with pytest.raises(FrameIndexError):
            FrameDataset(store, "data", [15])
        with pytest.raises(CastError):
            FrameDataset(CXIStore(put(tmp_path / "a.cxi", {DATA: frames(2, dtype="f8")})), "data")
        with pytest.raises(ValueError, match="masked"):
            FrameDataset(store, "data", masked="nan")


class TestBatches:
    def test_a_loader_without_workers(self, store, whole):
        data = IterableFrameDataset(store, ATTRIBUTES, 4, numbered=True)
        for _ in range(2):
            assert walk(DataLoader(data, batch_size=None), whole) == list(range(COUNT))

    def test_each_batch_is_ones_own(self, store, whole):
        kept = list(IterableFrameDataset(store, "data", 2))
        np.testing.assert_array_equal(torch.cat(kept).numpy(), whole)

    def test_processes_share_the_frames(self, store, whole):
        shares = [
            walk(IterableFrameDataset(store, ATTRIBUTES, 4, shard=(k, 4), numbered=True), whole)
            for k in range(4)
        ]
        assert list(itertools.chain(*shares)) == list(range(COUNT))
        with pytest.raises(ValueError, match="shard"):
            IterableFrameDataset(store, "data", 4, shard=(4, 4))

    def test_buffers_are_those_of_the_caller(self, store, whole):
        buffers = [torch.zeros((4, 5, 7), dtype=torch.uint16) for _ in range(4)]
        places = [one.data_ptr() for one in buffers]
        data = IterableFrameDataset(store, "data", 4, buffers=buffers)
        for number, batch in enumerate(data):
            assert batch.data_ptr() == places[number % 4]
            np.testing.assert_array_equal(batch.numpy(), whole[4 * number : 4 * number + 4])
        with pytest.raises(ValueError, match=r"float32 \(4, 5, 7\)"):
            IterableFrameDataset(store, "data", 4, buffers=[one.float() for one in buffers])

    def test_buffers_do_not_go_to_workers(self, store):
        buffers = [torch.zeros((4, 5, 7), dtype=torch.uint16) for _ in range(2)]
        data = IterableFrameDataset(store, "data", 4, buffers=buffers)
        loader = DataLoader(data, batch_size=None, num_workers=1, multiprocessing_context="fork")
        with pytest.raises(ValueError, match="take num_workers=0, or no buffers"):
            next(iter(loader))

    @pytest.mark.parametrize("after", [0, 1, 3, 4])
    def test_it_goes_on_where_another_was(self, store, whole, after):
        first = IterableFrameDataset(store, ATTRIBUTES, 4, numbered=True)
        given = iter(first)
        seen = [number for _ in range(after) for number in next(given)[1].tolist()]
        second = IterableFrameDataset(store, ATTRIBUTES, 4, numbered=True)
        second.load_state_dict(first.state_dict())
        assert second.state_dict() == first.state_dict()
        assert seen + walk(second, whole) == list(range(COUNT))
        assert walk(second, whole) == list(range(COUNT))

    def test_a_state_of_other_frames_is_refused(self, store):
        first = IterableFrameDataset(store, "data", 4)
        next(iter(first))
        other = IterableFrameDataset(store, "data", 4, idxs=range(9))
        other.load_state_dict(first.state_dict())
        with pytest.raises(ValueError, match="the state is that of another stream"):
            iter(other)


def descriptors(most=None):
    """Return how many descriptors are open; wait for those of loaders that are just ending."""
    end = time.monotonic() + 10
    while True:
        gc.collect()
        found = len(list(Path("/proc/self/fd").iterdir()))
        if most is None or found <= most or time.monotonic() > end:
            return found
        time.sleep(0.05)


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="descriptors are told by /proc")
class TestWorkers:
    @pytest.mark.parametrize("persistent", [False, True])
    def test_two_forked_workers_give_each_frame_once(self, store, whole, persistent):
        how = {"num_workers": 2, "persistent_workers": persistent}
        how["multiprocessing_context"] = "fork"
        data = FrameDataset(store, ATTRIBUTES, numbered=True)
        batches = IterableFrameDataset(store, ATTRIBUTES, 2, numbered=True)
        data[0]  # what is open here, workers leave alone
        before = None
        for _ in range(2):
            loaders = [
                DataLoader(data, batch_size=4, shuffle=True, **how),
                DataLoader(data, batch_size=4, shuffle=True, collate_fn=collate, **how),
                DataLoader(batches, batch_size=None, **how),
            ]
            for loader in loaders:
                for _ in range(2):  # epochs
                    assert sorted(walk(loader, whole)) == list(range(COUNT))
            del loaders, loader
            now = descriptors(before)
            assert before is None or now <= before
            before = now

    @pytest.mark.parametrize("start", ["forkserver", "spawn"])
    def test_workers_that_begin_anew(self, store, whole, start):
        data = FrameDataset(store, ATTRIBUTES, numbered=True)
        how = {"num_workers": 1, "multiprocessing_context": start, "collate_fn": collate}
        loader = DataLoader(data, batch_size=4, shuffle=True, **how)
        assert sorted(walk(loader, whole)) == list(range(COUNT))

    def test_a_loader_that_is_left_ends(self, store):
        data = IterableFrameDataset(store, "data", 1)
        how = {"num_workers": 2, "multiprocessing_context": "fork"}
        given = iter(DataLoader(data, batch_size=None, **how))
        next(given)
        workers = given._workers
        del given
        for worker in workers:
            worker.join(20)
            assert worker.exitcode == 0

    def test_an_error_in_a_worker_is_raised_here(self, tmp_path):
        name = put(tmp_path / "a.cxi", {DATA: frames(4)})
        data = FrameDataset(CXIStore(name, wait=0), "data")
        Path(name).write_bytes(b"no HDF5 any more")
        how = {"num_workers": 1, "multiprocessing_context": "fork"}
        with pytest.raises(OSError, match=r"a\.cxi"):
            next(iter(DataLoader(data, batch_size=2, **how)))


def test_without_torch_it_says_what_to_install():
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "try: import cxistack.adapters.torch\n"
        "except ImportError as error: print(error)"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout == "data sets for PyTorch need torch: pip install 'cxistack[torch]'\n"


def test_frames_of_a_real_detector(shared_data):
    name = str(shared_data / "p25_near_field_ptycho.cxi")
    store = CXIStore(name)
    expected = store.load_attribute("data", verbose=False)
    data = FrameDataset(store, ["data", "mask"], dtype="float32")
    batches = list(DataLoader(data, batch_size=64, collate_fn=collate))
    found = np.concatenate([one["data"].numpy() for one in batches])
    np.testing.assert_array_equal(found, expected)
    assert np.count_nonzero(batches[0]["mask"][5].numpy()) == 9995
