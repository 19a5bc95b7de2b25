"""A virtual file over a run: plain h5py and a store read from it what they read from the run."""

import shutil
from pathlib import Path

import h5py
import hdf5plugin  # noqa: F401  (registers bitshuffle for h5py)
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from cxistack import (
    Crop,
    CXIProtocol,
    CXIStore,
    Downscale,
    LayoutError,
    LinkError,
    Mirror,
    convert,
    discover,
)
from cxistack.cli import app
from cxistack.converting.virtual import virtual_of
from factory import BASIS, DATA, DISTANCE, MASK, TRANSLATIONS, frames, good_mask, put
from factory.beamlines import LAYOUTS

PLOTTED = "/entry_1/data_1/data"
COUNTS = (7, 1, 6)
PARTS = [frames(count, start=1000 * n) for n, count in enumerate(COUNTS)]
WHOLE = np.concatenate(PARTS)


@pytest.fixture
def folder(tmp_path):
    """Return a folder with a run in a folder of its own."""
    (tmp_path / "raw").mkdir()
    for n, part in enumerate(PARTS):
        values = {DATA: part, DISTANCE: 0.7, BASIS: np.ones((len(part), 2, 3)) + n}
        values[TRANSLATIONS] = np.arange(3.0 * len(part)).reshape(-1, 3) + n
        values[MASK] = good_mask((5, 7), [(1, 2)])
        put(tmp_path / "raw" / f"run_{n}.cxi", values, chunks=None)
    return tmp_path


def run_in(folder, **words):
    return CXIStore(f"{folder}/raw/run_*.cxi", **words)


def into(folder, name="all.cxi", mode="w"):
    return CXIStore(folder / name, mode, protocol="cxi")


def made(folder, *arguments, **words):
    return convert(run_in(folder), into(folder), *arguments, virtual=True, verbose=False, **words)


def plotted(name):
    with h5py.File(name) as h5:
        return h5[PLOTTED][()]


def test_data_stay_in_their_files_and_all_else_is_copied(folder):
    done = made(folder)
    assert (done.frames, done.virtual) == (14, ("data",))
    with h5py.File(folder / "all.cxi") as h5:
        assert h5[PLOTTED].is_virtual
        assert {one.file_name for one in h5[PLOTTED].virtual_sources()} == {
            f"raw/run_{n}.cxi" for n in range(3)
        }
        np.testing.assert_array_equal(h5[PLOTTED][()], WHOLE)
        assert h5[PLOTTED].attrs["axes"] == "experiment_identifier:y:x"
        virtual = []
        h5.visititems(
            lambda name, one: virtual.append(name) if getattr(one, "is_virtual", False) else None
        )
    assert virtual == ["entry_1/instrument_1/detector_1/data"]
    new, run = CXIStore(folder / "all.cxi", protocol="cxi"), run_in(folder)
    for attr in run.found:
        np.testing.assert_array_equal(new.load_attribute(attr), run.load_attribute(attr))
    assert new.check(conformance=True, verbose=False) == []
    assert (folder / "all.cxi").stat().st_size < 300_000
    # Each part is read as its source is.
    assert new["data"].source[2] == (str(folder / "raw/run_2.cxi"), DATA, range(8, 14))


@pytest.mark.parametrize(
    ("transform", "expected"),
    [
        (Crop([1, 5, 2, 7]), WHOLE[:, 1:5, 2:7]),
        (Downscale(2), WHOLE[:, ::2, ::2]),
        ([Crop([1, 5, 0, 7]), Downscale(3), Crop([0, 2, 1, 3])], WHOLE[:, 1:5:3, 3::3]),
    ],
)
def test_a_crop_or_a_stride_is_a_slice_of_the_sources(folder, transform, expected):
    made(folder, transform=transform)
    np.testing.assert_array_equal(plotted(folder / "all.cxi"), expected)
    store = CXIStore(folder / "all.cxi", protocol="cxi")
    np.testing.assert_array_equal(store["data"][:, 1:, ::2], expected[:, 1:, ::2])
    assert store.check(conformance=True, verbose=False) == []


@pytest.mark.parametrize(
    "idxs", [5, [13, 0, 0, 7, 2], slice(1, 12, 3), slice(None, None, -2), WHOLE[:, 0, 0] % 3 == 0]
)
def test_frames_that_are_chosen(folder, idxs):
    made(folder, idxs=idxs)
    expected = WHOLE[[5] if idxs == 5 else idxs] if isinstance(idxs, int) else WHOLE[idxs]
    np.testing.assert_array_equal(plotted(folder / "all.cxi"), expected)
    new = CXIStore(folder / "all.cxi", protocol="cxi")
    np.testing.assert_array_equal(new.load_attribute("data"), expected)
    rows = run_in(folder).load_attribute("translations", idxs)
    np.testing.assert_array_equal(new.load_attribute("translations"), rows)


@given(st.lists(st.integers(0, 13), min_size=1, max_size=30))
def test_any_frames_in_any_order_are_pieces_that_hold_them(tmp_path_factory, idxs):
    folder = tmp_path_factory.getbasetemp() / "any"
    folder.mkdir(exist_ok=True)
    names = [folder / f"{n}.cxi" for n in range(3)]
    for name, part in zip(names, PARTS, strict=True):
        if not name.exists():
            put(name, {DATA: part})
    load = CXIStore(names)._prepare("data", transform=Crop([1, 3, 0, 7]))
    virtual = virtual_of(load, np.array(idxs), str(folder / "v.cxi"))
    got = np.zeros(virtual.shape, virtual.dtype)
    for piece in virtual.pieces:
        part = PARTS[[str(name) for name in names].index(piece.stored.place.filename)]
        assert min(axis.step for axis in (*piece.target, *piece.source)) > 0
        source = part[tuple(axis.slice for axis in piece.source)]
        got[tuple(axis.slice for axis in piece.target)] += source
    np.testing.assert_array_equal(got, WHOLE[idxs, 1:3])


def test_many_frames_in_a_row_are_one_piece(folder):
    load = run_in(folder)._prepare("data")
    for idxs, most in ((np.arange(14), 3), (np.arange(0, 14, 2), 2), (np.arange(1, 7), 1)):
        assert len(virtual_of(load, idxs, "v.cxi").pieces) <= most


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ({"transform": Downscale(2, mode="sum")}, "makes other pixels than those of the files"),
        ({"transform": Downscale(2, mode="mean")}, "makes other pixels"),
        ({"transform": Mirror(0, (5, 7))}, "turns frames round"),
        ({"dtype": "float32"}, "it comes as float32, and .*run_0.cxi.* has uint16"),
        ({"attributes": ["distance"]}, "leaves 'data' where it is, which is not converted"),
    ],
)
def test_what_changes_values_is_refused_and_nothing_is_written(folder, words, why):
    with pytest.raises((LayoutError, ValueError), match=why):
        made(folder, **words)
    assert not (folder / "all.cxi").exists()
    assert sorted(path.name for path in folder.iterdir()) == ["raw"]


def test_the_unit_that_data_have_is_stated(folder):
    for n in range(3):
        with h5py.File(folder / "raw" / f"run_{n}.cxi", "r+") as h5:
            h5[DATA].attrs["units"] = "keV"
    made(folder, attributes=["data"])
    with h5py.File(folder / "all.cxi") as h5:
        assert h5[PLOTTED].attrs["units"] == "keV"
    protocol = CXIProtocol.import_default()
    paths = protocol.get_load_paths("data")
    known = protocol.add_attribute("data", "number", paths, "stack", unit="keV")
    target = CXIStore(folder / "new.cxi", "w", protocol=known)
    convert(run_in(folder, protocol=known), target, ["data"], virtual=True, verbose=False)
    with h5py.File(folder / "new.cxi") as h5:
        assert h5[PLOTTED].attrs["units"] == "keV"
    other = known.add_attribute("data", "number", paths, "stack", unit="eV")
    run, target = run_in(folder, protocol=other), CXIStore(folder / "third.cxi", "w", other)
    with pytest.raises(LayoutError, match="its values come in another unit"):
        convert(run, target, ["data"], virtual=True, verbose=False)


def test_files_of_several_types_are_refused(folder):
    name = folder / "raw" / "run_1.cxi"
    with h5py.File(name, "r+") as h5:
        del h5[DATA]
        h5[DATA] = PARTS[1].astype("uint32")
    with pytest.raises(LayoutError, match=r"it comes as uint32, and .*run_0.cxi.* has uint16"):
        made(folder)


def test_the_run_itself_is_not_replaced_by_what_is_virtual_over_it(folder):
    name = folder / "raw" / "run_0.cxi"
    before = name.read_bytes()
    with pytest.raises(LayoutError, match="would be virtual over itself"):
        convert(run_in(folder), CXIStore(name, "w", protocol="cxi"), virtual=True, verbose=False)
    assert name.read_bytes() == before


def test_it_moves_with_the_run_and_names_what_is_missing(folder):
    made(folder)
    shutil.move(folder, f"{folder}.moved")
    moved = f"{folder}.moved/all.cxi"
    np.testing.assert_array_equal(plotted(moved), WHOLE)
    np.testing.assert_array_equal(CXIStore(moved, protocol="cxi").load_attribute("data"), WHOLE)
    Path(f"{folder}.moved/raw/run_1.cxi").unlink()
    with pytest.raises(LinkError, match=r"raw/run_1\.cxi"):
        CXIStore(moved, protocol="cxi").load_attribute("data")
    seen = plotted(moved)  # HDF5 does not tell; what it gives is no count
    np.testing.assert_array_equal(seen[:7], PARTS[0])
    assert (seen[7] == 65535).all()
    shutil.move(moved, f"{folder}.alone.cxi")
    with pytest.raises(LinkError, match="run_0"):
        CXIStore(f"{folder}.alone.cxi", protocol="cxi").load_attribute("data")


def test_the_way_to_a_source_goes_through_real_folders(folder):
    """A link to the new file's folder is no folder that `..` leaves."""
    (folder / "proc").mkdir()
    (folder / "elsewhere").mkdir()
    (folder / "elsewhere" / "link").symlink_to(folder / "proc")
    convert(run_in(folder), into(folder / "elsewhere" / "link"), virtual=True, verbose=False)
    with h5py.File(folder / "proc" / "all.cxi") as h5:
        assert h5[PLOTTED].virtual_sources()[0].file_name == "../raw/run_0.cxi"
    for way in ("proc", "elsewhere/link"):
        np.testing.assert_array_equal(plotted(folder / way / "all.cxi"), WHOLE)


def test_names_with_percent_signs_are_names(tmp_path):
    odd = tmp_path / "100%b.h5"
    with h5py.File(odd, "w") as h5:
        h5["50%/x"] = PARTS[0]
    protocol = CXIProtocol({"data": "number"}, {"data": "/50%/x"}, {"data": "stack"})
    run = CXIStore([odd], protocol=protocol)
    convert(run, into(tmp_path), virtual=True, verbose=False)
    np.testing.assert_array_equal(plotted(tmp_path / "all.cxi"), PARTS[0])
    new = CXIStore(tmp_path / "all.cxi", protocol="cxi")
    np.testing.assert_array_equal(new.load_attribute("data"), PARTS[0])


def test_a_run_that_is_virtual_already_is_mapped_to_its_sources(folder):
    made(folder)
    convert(
        CXIStore(folder / "all.cxi", protocol="cxi"),
        into(folder, "again.cxi"),
        idxs=slice(0, 14, 2),
        virtual=True,
        verbose=False,
    )
    with h5py.File(folder / "again.cxi") as h5:
        names = {one.file_name for one in h5[PLOTTED].virtual_sources()}
        assert names <= {f"raw/run_{n}.cxi" for n in range(3)}
    np.testing.assert_array_equal(plotted(folder / "again.cxi"), WHOLE[::2])


def test_a_commit_that_fails_leaves_what_was_there(folder, monkeypatch):
    put(folder / "all.cxi", {DISTANCE: 3.0})
    before = (folder / "all.cxi").read_bytes()
    target = into(folder)

    def fails(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("cxistack.saving.provenance.record", fails)
    with pytest.raises(OSError, match="No space left"):
        convert(run_in(folder), target, virtual=True, verbose=False)
    assert (folder / "all.cxi").read_bytes() == before
    assert sorted(path.name for path in folder.iterdir()) == ["all.cxi", "raw"]


def test_the_command_makes_one(folder):
    words = ["convert", f"{folder}/raw/run_*.cxi", f"{folder}/all.cxi", "--virtual"]
    done = CliRunner().invoke(app, [*words, "--crop", "0", "4", "1", "7"])
    assert done.exit_code == 0, done.output
    assert "data: its frames stay where they are" in " ".join(done.output.split())
    np.testing.assert_array_equal(plotted(folder / "all.cxi"), WHOLE[:, :4, 1:])
    refused = CliRunner().invoke(app, [*words, "--force", "--bin", "2"])
    assert refused.exit_code == 2
    assert "cannot be left in its files" in " ".join(refused.output.split())


@pytest.mark.parametrize("layout", LAYOUTS)
def test_runs_of_every_beamline(layout, tmp_path):
    (tmp_path / "raw").mkdir()
    run = LAYOUTS[layout](tmp_path / "raw")
    names = [str(file) for file in run.files]
    protocol = run.protocol
    if protocol == "discover":
        protocol = str(tmp_path / "proposed.ini")
        discover(names).protocol.to_ini(protocol)
    known = protocol if protocol in CXIProtocol.names() else CXIProtocol.import_ini(protocol)
    store = CXIStore(names, protocol=known)
    output = tmp_path / "all.cxi"
    wanted = ",".join({"data", "mask"} & set(store))
    words = ["--protocol", protocol, "--virtual", "--attributes", wanted]
    done = CliRunner().invoke(app, ["convert", *names, str(output), *words])
    assert done.exit_code == 0, done.output
    with h5py.File(output) as h5:
        assert h5["/entry_1/instrument_1/detector_1/data"].is_virtual
        np.testing.assert_array_equal(h5[PLOTTED][()], run.data)
    new = CXIStore(output, protocol="cxi")
    np.testing.assert_array_equal(new.load_attribute("data"), run.data)
    if "mask" in store:
        mask = np.broadcast_to(new.load_attribute("mask"), run.data.shape)
        np.testing.assert_array_equal(
            mask, np.broadcast_to(store.load_attribute("mask"), mask.shape)
        )
    assert new.check(conformance=True, verbose=False) == []
