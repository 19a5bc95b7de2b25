"""Mode "w" replaces what there was when the store was opened, and nothing that came since."""

import os
import pickle
import subprocess
import sys

import numpy as np
import pytest

from cxistack import CXIStore, FileChangedError
from factory import DATA, frames, put
from factory.folders import names_in


@pytest.fixture(params=["a new file", "a file that is there"])
def name(request, tmp_path):
    name = tmp_path / "results.cxi"
    if request.param == "a file that is there":
        put(name, {DATA: frames(2)})
    return name


def save_elsewhere(name):
    code = (
        "import sys, cxistack; store = cxistack.CXIStore(sys.argv[1], 'w');"
        "store.save_attribute('distance', 1.0)"
    )
    subprocess.run([sys.executable, "-c", code, str(name)], check=True)


def refused(name):
    return pytest.raises(
        FileChangedError, match=rf'{name}.*since this store was opened.*"w" .*replace.*"a" .*add'
    )


class TestAStoreOfModeW:
    def test_does_not_replace_what_another_has_saved(self, name):
        one, two = CXIStore(name, "w"), CXIStore(name, "w")
        one.save_attribute("distance", 1.0)
        for _ in range(2):  # it is not to be had by asking twice
            with refused(name):
                two.save_attribute("wavelength", 2.0)
        one.save_attribute("defocus_x", 3.0)
        assert set(CXIStore(name)) == {"distance", "defocus_x"}
        assert names_in(name.parent) == [name.name]

    def test_does_not_replace_what_its_own_copy_has_saved(self, name):
        store = CXIStore(name, "w")
        copy = pickle.loads(pickle.dumps(store))
        copy.save_attribute("distance", 1.0)
        with refused(name):
            store.save_attribute("wavelength", 2.0)
        assert set(CXIStore(name)) == {"distance"}

    def test_does_not_replace_what_another_process_has_saved(self, name):
        store = CXIStore(name, "w")
        save_elsewhere(name)
        with refused(name):
            store.save_attribute("wavelength", 2.0)
        assert set(CXIStore(name)) == {"distance"}

    def test_does_not_replace_what_h5py_has_written(self, name):
        store = CXIStore(name, "w")
        put(name, {"/speckle_tracking/mask": np.ones((5, 7), bool)})
        with refused(name):
            store.save_attribute("wavelength", 2.0)
        assert "mask" in CXIStore(name)

    @pytest.mark.parametrize("looks", ["update", "reopen", "block", "loads"])
    def test_does_not_forget_when_it_was_opened(self, name, looks):
        store = CXIStore(name, "w")
        CXIStore(name, "w").save_attribute("distance", 1.0)
        if looks == "update":
            store.update_indices()
        elif looks == "reopen":
            store.close()
            store.open()
        elif looks == "loads":
            assert "distance" not in store
        with refused(name), store.transaction():
            store.save_attribute("wavelength", 2.0)
        assert set(CXIStore(name)) == {"distance"}

    def test_does_not_replace_what_comes_while_its_block_runs(self, name):
        store = CXIStore(name, "w")
        with refused(name), store.transaction():
            CXIStore(name, "w").save_attribute("distance", 1.0)
            store.save_attribute("wavelength", 2.0)
        assert set(CXIStore(name)) == {"distance"}

    def test_writes_what_has_been_deleted_meanwhile(self, tmp_path):
        name = put(tmp_path / "a.cxi", {DATA: frames(2)})
        store = CXIStore(name, "w")
        os.unlink(name)  # noqa: PTH108
        store.save_attribute("distance", 1.0)
        assert set(CXIStore(name)) == {"distance"}

    def test_goes_on_after_its_own_saves_and_those_of_others(self, name):
        store = CXIStore(name, "w")
        store.save_attribute("distance", 1.0)
        with CXIStore(name, "r+") as other:
            other.save_attribute("wavelength", 2.0)
        store.save_attribute("defocus_x", 3.0)
        assert set(CXIStore(name)) == {"distance", "wavelength", "defocus_x"}

    def test_starts_again_after_a_save_that_failed(self, name):
        store = CXIStore(name, "w")
        block = store.transaction()
        block.__enter__()
        store.save_attribute("wavelength", 2.0)
        error = ZeroDivisionError("in the block")
        assert not block.__exit__(ZeroDivisionError, error, None)
        store.save_attribute("distance", 1.0)
        assert set(CXIStore(name)) == {"distance"}

    def test_says_so_of_a_writer_too(self, name):
        store = CXIStore(name, "w")
        CXIStore(name, "w").save_attribute("distance", 1.0)
        with pytest.raises(FileChangedError), store.writer("data") as writer:
            writer.append(frames(2))
        assert set(CXIStore(name)) == {"distance"}


@pytest.mark.parametrize("mode", ["x", "w-"])
def test_a_store_of_mode_x_finds_a_file_that_has_come(tmp_path, mode):
    name = tmp_path / "new.cxi"
    store = CXIStore(name, mode)
    CXIStore(name, "w").save_attribute("distance", 1.0)
    with pytest.raises(FileExistsError):
        store.save_attribute("wavelength", 2.0)
    assert set(CXIStore(name)) == {"distance"}
