"""A container of Dask arrays against one of arrays in memory."""

import dask
import dask.array as da
import numpy as np
import pytest

from cxistack import Crop, CXIStore, STData
from factory import MASK, TRANSLATIONS, good_mask, many_files, put

RUN = np.random.default_rng(2).poisson(40, (23, 9, 12)).astype("u2")
PARTS = [RUN[:5], RUN[5:9], RUN[9:]]


@pytest.fixture(autouse=True)
def _one_thread():
    with dask.config.set(scheduler="sync"):
        yield


@pytest.fixture
def store(tmp_path):
    names = many_files(tmp_path, PARTS)
    for name, part in zip(names, PARTS, strict=True):
        put(name, {MASK: good_mask(part.shape, [(0, 1, 1)])})
        put(name, {TRANSLATIONS: np.arange(3.0 * len(part)).reshape(-1, 3)})
    return CXIStore(names)


def test_its_stacks_are_those_that_are_loaded(store):
    loaded = STData(store, transform=Crop([1, 9, 0, 10])).load(idxs=[20, 3, 3, 8], verbose=False)
    lazy = loaded.replace(data=None, mask=None).to_dask(chunks=4)
    for attr in ("data", "mask"):
        assert isinstance(lazy[attr], da.Array)
        np.testing.assert_array_equal(lazy[attr].compute(), loaded[attr])
    np.testing.assert_array_equal(lazy.translations, loaded.translations)
    assert lazy.shape == loaded.shape
    assert "dask.array" in repr(lazy)


def test_of_all_frames_and_by_name(store):
    lazy = STData(store).to_dask("data", chunks=5)
    np.testing.assert_array_equal(lazy.data.mean(axis=0).compute(), RUN.mean(axis=0))
    np.testing.assert_array_equal(lazy.frames, np.arange(23))
    assert lazy.mask.all()  # it was not named
    with pytest.raises(ValueError, match="no stack"):
        STData(store).to_dask("translations")


def test_what_the_container_has_stays(store):
    mask = good_mask((9, 12), [(2, 2)])
    lazy = STData(store, mask=mask).to_dask()
    assert lazy.mask is mask


def test_its_methods_make_the_same(store):
    loaded = STData(store).load(["data", "mask"], verbose=False)
    lazy = STData(store).to_dask()
    for step in (
        lambda st: st.update_whitefield().whitefield,
        lambda st: st.update_mask("perc-bad", update="multiply").mask,
        lambda st: st.mask_frames([3, 1, 7]).update_whitefield().whitefield,
        lambda st: st.whitefield,
        lambda st: st.replace(data=st.data * 2).update_whitefield().whitefield,
    ):
        np.testing.assert_array_equal(np.asarray(step(lazy)), step(loaded))


def test_it_is_saved_in_blocks(store, tmp_path):
    lazy = STData(store).to_dask(chunks=4).load("translations", verbose=False)
    lazy = lazy.replace(data=(lazy.data + 1).astype("u2"), good_frames=[2, 9, 10])
    target = CXIStore(tmp_path / "new.cxi", "w")
    lazy.update_output_file(target).save(["data", "mask", "translations"])
    new = CXIStore(tmp_path / "new.cxi")
    np.testing.assert_array_equal(new.load_attribute("data"), RUN[[2, 9, 10]] + 1)
    np.testing.assert_array_equal(
        new.load_attribute("mask"), store.load_attribute("mask", [2, 9, 10])
    )


def test_another_transform_drops_it(store):
    lazy = STData(store).to_dask()
    assert lazy.update_transform(Crop([0, 2, 0, 2])).data is None
    assert lazy.clear().data is None
