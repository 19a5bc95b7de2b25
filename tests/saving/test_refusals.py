"""A save that is refused or fails leaves the file as it was, byte by byte, and nothing else."""

import os
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

import factory
from cxistack import (
    AttributeMissingError,
    CastError,
    CXIError,
    CXIStore,
    FrameIndexError,
    LayoutError,
    ReadOnlyStoreError,
    STData,
)
from factory import DATA, DISTANCE, MASK, TRANSLATIONS, frames, put


class Unchanged:
    """Checks that a folder holds the same files with the same bytes as before."""

    def __init__(self, folder):
        self.folder = folder

    def __enter__(self):
        self.before = self.contents()

    def __exit__(self, *error):
        assert self.contents() == self.before

    def contents(self):
        return {path: path.read_bytes() for path in self.folder.rglob("*") if path.is_file()}


def save_with_room_for(room, name, mode):
    """Save where no file may grow past `room` bytes, in a process that may die of it."""
    code = f"""
import resource, signal
import numpy as np
from cxistack import CXIStore
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
store = CXIStore({name!r}, mode={mode!r})
resource.setrlimit(resource.RLIMIT_FSIZE, ({room}, {room}))
try:
    store.save_attribute("data", np.ones((1000, 50, 70), "uint16"))
except OSError:
    print("raised")
"""
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


class TestRefused:
    def refuses(self, folder, name, error, match, *save, **options):
        with Unchanged(folder), CXIStore(name, mode="r+") as store:
            with pytest.raises(error, match=match):
                store.save_attribute(*save, **options)
            assert store
            store.load_attribute("data")

    @pytest.mark.parametrize("mode", ["overwrite", "append"])
    def test_a_virtual_dataset(self, tmp_path, mode):
        name = factory.virtual(tmp_path, [frames(2), frames(1)])[0]
        self.refuses(tmp_path, name, CXIError, "virtual", "data", frames(3), mode)

    @pytest.mark.parametrize("mode", ["overwrite", "append"])
    def test_a_dataset_in_another_file(self, tmp_path, mode):
        put(tmp_path / "raw.h5", {"/frames": frames(2)})
        with h5py.File(tmp_path / "m.cxi", "w") as h5:
            h5[DATA] = h5py.ExternalLink("raw.h5", "/frames")
        name = tmp_path / "m.cxi"
        self.refuses(tmp_path, name, CXIError, r"raw\.h5", "data", frames(2), mode)

    def test_external_raw_storage(self, tmp_path):
        name = factory.external_raw(tmp_path)
        with (
            Unchanged(tmp_path),
            CXIStore(name, mode="r+") as store,
            pytest.raises(CXIError, match="external"),
        ):
            store.save_attribute("data", frames(1))

    def test_a_group_of_datasets(self, tmp_path):
        name = factory.datasets_in_a_group(tmp_path, [frames(2), frames(1)])[0]
        self.refuses(tmp_path, name, CXIError, r"group\.h5", "data", frames(3))

    @pytest.fixture
    def run(self, tmp_path):
        return put(tmp_path / "run.cxi", {DATA: frames(4), TRANSLATIONS: np.ones((4, 3))})

    @pytest.mark.parametrize(("mode", "idxs"), [("append", None), ("insert", [1])])
    def test_one_mask_among_masks_of_frames(self, tmp_path, mode, idxs):
        name = put(tmp_path / "a.cxi", {DATA: frames(3), MASK: np.ones((3, 5, 7), bool)})
        save = ("mask", np.ones((5, 7), bool), mode, idxs)
        words = (
            r"shape \(3, 5, 7\), a frame for each of data's; an array of shape \(5, 7\) .* not say"
        )
        self.refuses(tmp_path, name, LayoutError, words, *save)

    @pytest.mark.parametrize("rows", [1, 4])
    def test_numbers_added_to_rows(self, tmp_path, rows):
        values = {DATA: frames(rows), TRANSLATIONS: np.ones((rows, rows))}
        name = put(tmp_path / "a.cxi", values)
        words = r"to which no frames of shape \(\) can be added"
        self.refuses(tmp_path, name, LayoutError, words, "translations", np.ones(3), "append")

    @pytest.mark.parametrize("idxs", [[5], [6, 4], [1, 9]])
    def test_an_insert_that_leaves_a_gap(self, tmp_path, run, idxs):
        save = ("data", frames(len(idxs)), "insert", idxs)
        self.refuses(tmp_path, run, (LayoutError, FrameIndexError), None, *save)

    @pytest.mark.parametrize("idxs", [[1, 1], [0, 4, 0]])
    def test_an_insert_with_duplicates(self, tmp_path, run, idxs):
        save = ("data", frames(len(idxs)), "insert", idxs)
        self.refuses(tmp_path, run, (LayoutError, FrameIndexError), None, *save)

    @pytest.mark.parametrize("idxs", [None, [0], [0, 1, 2], [-9, 0], [0.5, 1], "ab"])
    def test_an_insert_with_indices_that_do_not_fit(self, tmp_path, run, idxs):
        error = (CXIError, TypeError, ValueError, IndexError)
        self.refuses(tmp_path, run, error, None, "data", frames(2), "insert", idxs)

    @pytest.mark.parametrize("mode", ["append", "insert"])
    def test_frames_of_another_shape(self, tmp_path, run, mode):
        idxs = [0, 1] if mode == "insert" else None
        for other in (frames(2, (5, 8)), frames(2, (5,)), frames(2, (1, 5, 7))):
            error = (LayoutError, FrameIndexError)  # one 2-D dataset is one frame
            self.refuses(tmp_path, run, error, None, "data", other, mode, idxs)

    @pytest.mark.parametrize("values", [
        np.full((1, 5, 7), -1), np.full((1, 5, 7), 0.5), np.full((1, 5, 7), 2**16),
        np.full((1, 5, 7), np.nan),
    ], ids=["negative", "fraction", "too large", "nan"])  # fmt: skip
    @pytest.mark.parametrize("mode", ["overwrite", "append", "insert"])
    def test_values_that_the_stored_type_does_not_hold(self, tmp_path, run, values, mode):
        idxs = [0] if mode == "insert" else None
        self.refuses(tmp_path, run, CastError, None, "data", values, mode, idxs)

    def test_unless_asked_for(self, run):
        with CXIStore(run, mode="r+") as store:
            store.save_attribute("data", np.full((1, 5, 7), -1), casting="unsafe")
            assert (store.load_attribute("data") == 65535).all()

    @pytest.mark.parametrize(("attr", "value"), [
        ("data", np.ones(3)), ("data", 5), ("whitefield", np.ones(3)), ("translations", 1.0),
        ("distance", np.ones((2, 2, 2))), ("distance", "far"),
    ])  # fmt: skip
    def test_what_does_not_fit_its_kind_or_type(self, tmp_path, run, attr, value):
        self.refuses(tmp_path, run, CXIError, attr, attr, value)

    def test_an_attribute_that_the_protocol_does_not_know(self, tmp_path, run):
        self.refuses(tmp_path, run, AttributeMissingError, "nothing", "nothing", 1.0)

    def test_a_mode_that_there_is_not(self, tmp_path, run):
        self.refuses(tmp_path, run, ValueError, "mode", "data", frames(1), "replace")

    def test_a_store_opened_for_reading(self, tmp_path, run):
        with Unchanged(tmp_path), CXIStore(run) as store, pytest.raises(ReadOnlyStoreError):
            store.save_attribute("data", frames(1))

    def test_a_file_with_several_names_on_disk(self, tmp_path, run):
        (tmp_path / "second.cxi").hardlink_to(run)
        self.refuses(tmp_path, run, CXIError, r"run\.cxi", "data", frames(1))

    def test_to_a_place_below_a_dataset_name_the_place(self, tmp_path):
        name = put(tmp_path / "a.cxi", {"/speckle_tracking": 1.0})
        with pytest.raises(OSError, match="/speckle_tracking/mask"):
            CXIStore(name, "r+").save_attribute("mask", np.ones((1, 2, 2), bool))


class TestFailing:
    @pytest.fixture
    def run(self, tmp_path):
        return put(tmp_path / "run.cxi", {DATA: frames(4), DISTANCE: 1.0})

    @pytest.mark.parametrize("function", ["replace", "fsync"])
    def test_at_the_commit(self, tmp_path, run, monkeypatch, function):
        def fails(*args, **options):
            raise OSError(28, "No space left on device")

        with Unchanged(tmp_path), CXIStore(run, mode="r+") as store:
            with monkeypatch.context() as patch:
                patch.setattr(os, function, fails)
                with pytest.raises(OSError, match="space"):
                    store.save_attribute("data", frames(9, start=77))
            np.testing.assert_array_equal(store.load_attribute("data"), frames(4))

    def test_and_the_next_save_works(self, run, monkeypatch):
        with CXIStore(run, mode="r+") as store:
            with monkeypatch.context() as patch:
                patch.setattr(os, "replace", None)
                with pytest.raises(TypeError):
                    store.save_attribute("data", frames(2))
            store.save_attribute("data", frames(2))
            assert len(store.load_attribute("data")) == 2

    @pytest.mark.parametrize("mode", ["r+", "w"])
    @pytest.mark.parametrize("room", [0, 100, 5000, 100_000])
    def test_on_a_full_disk_leaves_the_file_and_raises(self, tmp_path, run, room, mode):
        with Unchanged(tmp_path):
            done = save_with_room_for(room, run, mode)
        assert (done.returncode, done.stdout) == (0, "raised\n"), done.stderr

    @pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
    def test_by_an_interrupt(self, tmp_path, run, monkeypatch, error):
        def interrupted(*args, **options):
            raise error

        with Unchanged(tmp_path), CXIStore(run, mode="r+") as store:
            with monkeypatch.context() as patch:
                patch.setattr(os, "fsync", interrupted)
                with pytest.raises(error):
                    store.save_attribute("data", frames(9))
            assert len(store.load_attribute("data")) == 4


class TestTransaction:
    @pytest.fixture
    def run(self, tmp_path):
        return put(tmp_path / "run.cxi", {DATA: frames(4), MASK: np.ones((4, 5, 7), bool)})

    def test_is_one_commit(self, run):
        with CXIStore(run, mode="r+") as store, CXIStore(run) as other:
            with store.transaction():
                store.save_attribute("data", frames(2), mode="append")
                store.save_attribute("mask", np.zeros((7, 5, 7), bool))
                store.save_attribute("data", frames(1), mode="append")
                other.update_indices()
                assert len(other.load_attribute("data")) == 4
                assert other.load_attribute("mask").all()
            assert store.load_attribute("data").shape == (7, 5, 7)
            assert not store.load_attribute("mask").any()

    @pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt])
    def test_that_is_left_by_an_error_saves_nothing(self, tmp_path, run, error):
        with Unchanged(tmp_path), CXIStore(run, mode="r+") as store:
            with pytest.raises(error), store.transaction():  # noqa: PT012
                store.save_attribute("data", frames(1))
                raise error
            assert store.load_attribute("data").shape == (4, 5, 7)

    def test_in_which_one_save_is_refused_saves_nothing(self, tmp_path, run):
        with Unchanged(tmp_path), CXIStore(run, mode="r+") as store:
            with pytest.raises(CastError), store.transaction():  # noqa: PT012
                store.save_attribute("distance", 3.0)
                store.save_attribute("data", np.full((1, 5, 7), -1))
            assert "distance" not in store

    def test_of_nothing_changes_nothing(self, tmp_path, run):
        with Unchanged(tmp_path), CXIStore(run, mode="r+") as store, store.transaction():
            pass

    def test_of_a_new_file_makes_it_whole(self, tmp_path):
        with CXIStore(tmp_path / "new.cxi", mode="x") as store:
            with store.transaction():
                store.save_attribute("data", frames(2))
                assert not (tmp_path / "new.cxi").exists()
                store.save_attribute("distance", 1.0)
            assert set(store) == {"data", "distance"}

    def test_a_container_saves_all_its_attributes_or_none(self, tmp_path, run):
        st = STData(CXIStore(run), data=frames(1), distance=4.0, wavelength="long")
        with Unchanged(tmp_path):
            output = CXIStore(run, mode="r+")
            with pytest.raises(CXIError):
                st.update_output_file(output).save(mode="overwrite")


class TestTheFileItself:
    def test_of_a_symbolic_link_the_target_changes(self, tmp_path):
        (tmp_path / "disk").mkdir()
        real = put(tmp_path / "disk" / "run.cxi", {DATA: frames(2)})
        link = tmp_path / "link.cxi"
        link.symlink_to(real)
        with CXIStore(link, mode="r+") as store:
            store.save_attribute("data", frames(3))
        assert link.is_symlink()
        assert CXIStore(real).load_attribute("data").shape == (3, 5, 7)
        assert sorted(path.name for path in tmp_path.rglob("*")) == ["disk", "link.cxi", "run.cxi"]

    @pytest.mark.parametrize("permissions", [0o600, 0o644, 0o664, 0o660])
    def test_permissions_are_kept(self, tmp_path, permissions):
        name = Path(put(tmp_path / "run.cxi", {DATA: frames(2)}))
        name.chmod(permissions)
        with CXIStore(name, mode="r+") as store:
            store.save_attribute("data", frames(3))
        assert name.stat().st_mode & 0o7777 == permissions

    def test_extended_attributes_are_kept(self, tmp_path):
        name = put(tmp_path / "run.cxi", {DATA: frames(2)})
        try:
            os.setxattr(name, "user.sample", b"lysozyme")
        except (OSError, AttributeError):
            pytest.skip("this file system has no extended attributes")
        with CXIStore(name, mode="r+") as store:
            store.save_attribute("data", frames(3))
        assert os.getxattr(name, "user.sample") == b"lysozyme"

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
    def test_the_owner_is_kept(self, tmp_path):
        name = put(tmp_path / "run.cxi", {DATA: frames(2)})
        os.chown(name, 1234, 4321)
        with CXIStore(name, mode="r+") as store:
            store.save_attribute("data", frames(3))
        assert (Path(name).stat().st_uid, Path(name).stat().st_gid) == (1234, 4321)

    def test_a_new_files_permissions_are_those_of_any_new_file(self, tmp_path):
        (tmp_path / "plain").touch()
        with CXIStore(tmp_path / "new.cxi", mode="w") as store:
            store.save_attribute("data", frames(1))
        expected = (tmp_path / "plain").stat().st_mode & 0o777
        assert (tmp_path / "new.cxi").stat().st_mode & 0o777 == expected
