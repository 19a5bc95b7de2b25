"""Runs of every beamline become one CXI file, in which h5py finds what it finds in theirs."""

import re

import h5py
import hdf5plugin  # noqa: F401  (registers bitshuffle for h5py)
import numpy as np
import pytest
from typer.testing import CliRunner

from cxistack import CXIProtocol, CXIStore, discover
from cxistack.cli import app
from factory.beamlines import LAYOUTS

CXI = CXIProtocol.import_named("cxi")


@pytest.fixture(scope="module", params=LAYOUTS)
def run(request, tmp_path_factory):
    return LAYOUTS[request.param](tmp_path_factory.mktemp(request.param))


@pytest.fixture(scope="module")
def protocol(run, tmp_path_factory):
    """Return what a user says of the run's layout."""
    if run.protocol != "discover":
        return run.protocol
    ini = str(tmp_path_factory.mktemp("ini") / "proposed.ini")
    discover([str(file) for file in run.files]).protocol.to_ini(ini)
    return ini


@pytest.fixture(scope="module")
def store(run, protocol):
    known = protocol if protocol in CXIProtocol.names() else CXIProtocol.import_ini(protocol)
    return CXIStore([str(file) for file in run.files], protocol=known)


@pytest.fixture(scope="module")
def said(run, protocol, tmp_path_factory):
    """Convert the run; return the new file, and what is said of it."""
    output = tmp_path_factory.mktemp("new") / "new.cxi"
    words = ["convert", *map(str, run.files), str(output), "--protocol", protocol]
    if run.name == "cheetah_hits":
        words += ["--by-frame", "energy,wavelength"]
    if run.name == "pynx_ptychography":  # its translations have a row an axis, not one a frame
        known = CXIStore([str(file) for file in run.files], protocol=protocol)
        words += ["--attributes", ",".join(attr for attr in known if attr != "translations")]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    return output, result.output


@pytest.fixture(scope="module")
def new(said):
    with h5py.File(said[0]) as h5:
        yield h5


@pytest.fixture(scope="module")
def place(said):
    """Return what tells where an attribute is: where CXI has it, or where it is said to be."""

    def told(attr):
        if attr in CXI:
            return CXI.attribute(attr).paths[0]
        return re.search(rf"\b{attr} at (/\S+?)[,\n]", said[1])[1]

    return told


def test_frames_are_those_of_the_files(run, new, place, said):
    data = new[place("data")]
    expected = run.data
    if (
        told := re.search(r"^data: as (\w+), where the files have (\w+)$", said[1], re.M)
    ) is not None:
        assert expected.dtype == told[2]
        expected = expected.astype(told[1])
    np.testing.assert_array_equal(data[()], expected)
    assert data.dtype == expected.dtype.newbyteorder("=")


def test_scalars_and_sequences_state_their_si_units(run, new, place):
    for attr, expected in {**run.scalars, **run.derived, **run.sequences}.items():
        dataset = new[place(attr)]
        value = np.squeeze(dataset[()])
        np.testing.assert_allclose(value, np.squeeze(expected), rtol=1e-6, err_msg=attr)
        if attr in CXI.units:
            assert dataset.attrs["units"] == CXI.units[attr][0]


def test_images_and_flags_are_those_of_the_files(run, new, place):
    for attr, expected in run.images.items():
        np.testing.assert_array_equal(new[place(attr)][()], expected, err_msg=attr)
    if run.mask is None:
        return
    mask, good = new[place("mask")], run.mask
    if run.protocol == "cxi" and run.flags is not None and run.flags.dtype.kind in "iu":
        flags = run.flags.view(f"u{run.flags.itemsize}")  # their reasons, too
        np.testing.assert_array_equal(*np.broadcast_arrays(mask[()], flags))
        good = flags & ~np.array(0x1000).astype(flags.dtype) == 0  # has signal
    is_good = mask[()] & ~np.uint32(0x1000) == 0
    np.testing.assert_array_equal(
        *(np.broadcast_to(one, run.data.shape) for one in (is_good, good))
    )


def test_what_is_loaded_is_what_was_loaded_or_it_is_said(run, store, said):
    output, words = said
    new = CXIStore(output, protocol="cxi")
    for attr in store.found:
        if (run.name, attr) == ("pynx_ptychography", "translations"):
            assert attr not in new  # as was asked for
        elif attr not in new:
            assert f"{attr} at /" in words
        elif not (
            f"{attr}: from " in words or store.filenames()[0].endswith("r0009-c00.cxi")
        ):  # other units, more values
            old, now = (one.load_attribute(attr, verbose=False) for one in (store, new))
            np.testing.assert_array_equal(now, old)
            assert np.asarray(now).dtype == np.asarray(old).dtype


def test_the_new_file_is_cxi(said):
    findings = CXIStore(said[0], protocol="cxi").check(conformance=True, verbose=False)
    # Arrays that CXI has of another shape stay what they were.
    known = ("basis_vectors", "translation")
    assert [one for one in findings if not one.dataset.endswith(known) and one.dataset] == []
