import h5py
import numpy as np
from typer.testing import CliRunner

from cxistack import CXIProtocol, CXIStore
from cxistack.cli import app
from factory import frames, not_hdf5, put

FRAMES = frames(4, (16, 20))


def discover(*arguments):
    return CliRunner().invoke(app, ["protocol", "discover", *map(str, arguments)])


def test_each_choice_is_told_with_its_reason(tmp_path):
    shown = discover(
        put(tmp_path / "odd.h5", {"/scan/images": FRAMES, "/small/data": FRAMES[:, :9]})
    )
    assert shown.exit_code == 0
    assert "no built-in protocol fits" in shown.stdout
    assert "it is called images" in shown.stdout
    assert "not /small/data" in shown.stdout


def test_the_protocol_is_written_where_it_is_asked_for_and_works(tmp_path):
    file = put(tmp_path / "odd.h5", {"/scan/images": FRAMES})
    shown = discover(file, "-o", tmp_path / "my.ini")
    assert shown.exit_code == 0
    assert "--protocol" in shown.stdout
    store = CXIStore(file, protocol=CXIProtocol.import_ini(tmp_path / "my.ini"))
    np.testing.assert_array_equal(store.load_attribute("data", verbose=False), FRAMES)


def test_what_is_to_be_looked_after_is_status_1(tmp_path):
    lost = put(tmp_path / "lost.h5", {"/scan/images": FRAMES})
    with h5py.File(lost, "a") as h5:
        h5["/scan/mask"] = h5py.SoftLink("/gone")
    shown = discover(lost)
    assert shown.exit_code == 1
    assert "/scan/mask" in shown.stdout
    white = put(tmp_path / "white.cxi", {"/speckle_tracking/whitefield": FRAMES[0]})
    assert discover(white).exit_code == 1


def test_nothing_to_propose_is_status_2_and_nothing_is_written(tmp_path):
    for file in (put(tmp_path / "a.h5", {"/x": 1.0}), not_hdf5(tmp_path), tmp_path / "gone.h5"):
        shown = discover(file, "-o", tmp_path / "my.ini")
        assert shown.exit_code == 2
        assert shown.stdout == ""
        assert shown.stderr.count("\n") == 1
        assert not (tmp_path / "my.ini").exists()


def test_several_files_are_one_run(tmp_path):
    for n in (1, 2):
        put(tmp_path / f"odd_{n}.h5", {"/scan/images": FRAMES})
    shown = discover(tmp_path / "odd_*.h5")
    assert shown.exit_code == 0
    assert "2 files" in shown.stdout
