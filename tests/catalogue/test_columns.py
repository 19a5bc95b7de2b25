"""Several one-dimensional datasets are one attribute; the oracle is h5py and `numpy.stack`."""

import h5py
import numpy as np
import pytest

from cxistack import CXIProtocol, CXIStore, LayoutError, ProtocolError, convert
from factory import frames, put

DATA, MOTORS = "/entry/data/data", tuple(f"/entry/sample/motor_{axis}" for axis in "xyz")
COLUMNS = f"({', '.join(MOTORS)})"


def protocol(*paths, **options):
    default = CXIProtocol.import_default()
    return default.add_attribute("translations", "float", paths or [COLUMNS], "sequence", **options)


def run(path, count=5, start=0.0, dtype=("f8", "f8", "f8"), lengths=(0, 0, 0), **options):
    """Write frames and their motors; return the file's name."""
    tree = {DATA: frames(count, (6, 8))}
    for number, motor in enumerate(MOTORS):
        values = start + 10 * number + np.arange(count + lengths[number])
        tree[motor] = values.astype(dtype[number])
    return put(path, tree, **options)


def stored(*files):
    parts = []
    for file in files:
        with h5py.File(file) as h5:
            parts.append(np.stack([h5[motor][...] for motor in MOTORS], axis=-1))
    return np.concatenate(parts)


def test_motors_are_columns_of_one_attribute_over_all_files(tmp_path):
    files = [run(tmp_path / "a.h5"), run(tmp_path / "b.h5", 3, 100.0)]
    store, expected = CXIStore(files, protocol=protocol()), stored(*files)
    assert store.problems == []
    np.testing.assert_array_equal(store.load_attribute("translations"), expected, strict=True)
    for idxs in ([2], [7, 0, 0, -2], slice(6, 1, -2), np.arange(8) % 3 == 0, slice(0, 0)):
        loaded = store.load_attribute("translations", idxs)
        np.testing.assert_array_equal(loaded, expected[idxs], strict=True)
    np.testing.assert_array_equal(store["translations"][3:7, 1], expected[3:7, 1])
    assert COLUMNS in repr(store)
    out = np.empty((8, 3), "f4")
    store.load_attribute("translations", out=out)
    np.testing.assert_array_equal(out, expected.astype("f4"))
    assert store.check(verbose=False) == []


def test_columns_of_different_types_come_as_numpy_promotes_them(tmp_path):
    file = run(tmp_path / "a.h5", dtype=("f4", "f8", "f4"))
    loaded = CXIStore(file, protocol=protocol()).load_attribute("translations")
    np.testing.assert_array_equal(loaded, stored(file), strict=True)


@pytest.mark.parametrize("options", [{"chunks": (2,)}, {"chunks": (2,), "compression": "gzip"}])
def test_columns_may_be_chunked(tmp_path, options):
    file = put(tmp_path / "a.h5", {DATA: frames(5, (6, 8))})
    put(file, {motor: np.arange(5.0) + k for k, motor in enumerate(MOTORS)}, **options)
    loaded = CXIStore(file, protocol=protocol()).load_attribute("translations", [4, 1])
    np.testing.assert_array_equal(loaded, stored(file)[[4, 1]])


def test_one_row_is_one_row(tmp_path):
    file = run(tmp_path / "a.h5", 1)
    loaded = CXIStore(file, protocol=protocol()).load_attribute("translations")
    np.testing.assert_array_equal(loaded, stored(file), strict=True)


def test_a_file_without_any_column_is_read_by_the_next_path(tmp_path):
    plain = "/entry/sample/translations"
    file = put(tmp_path / "a.h5", {DATA: frames(4, (6, 8)), plain: np.ones((4, 2))})
    assert CXIStore(file, protocol=protocol(COLUMNS, plain)).find_dataset("translations") == plain
    both = CXIStore(run(tmp_path / "b.h5"), protocol=protocol(plain, COLUMNS))
    assert both.find_dataset("translations") == COLUMNS


class TestWhatDoesNotGoTogether:
    def load(self, file, chosen=None):
        store = CXIStore(file, protocol=chosen or protocol())
        assert any(one.attribute == "translations" for one in store.problems)
        return store.load_attribute("translations")

    def test_other_lengths(self, tmp_path):
        file = run(tmp_path / "a.h5", lengths=(0, 0, 2))
        with pytest.raises(LayoutError, match=r"length: .*motor_x has 5 rows, and .*motor_z has 7"):
            self.load(file)

    def test_a_column_that_is_missing(self, tmp_path):
        file = run(tmp_path / "a.h5")
        with h5py.File(file, "a") as h5:
            del h5[MOTORS[1]]
        with pytest.raises(LayoutError, match="motor_x and no dataset /entry/sample/motor_y"):
            self.load(file)

    def test_two_axes(self, tmp_path):
        file = run(tmp_path / "a.h5")
        with h5py.File(file, "a") as h5:
            del h5[MOTORS[2]]
            h5[MOTORS[2]] = np.ones((5, 1))
        with pytest.raises(LayoutError, match=r"motor_z is float64 of shape \(5, 1\)"):
            self.load(file)

    def test_other_units(self, tmp_path):
        file = run(tmp_path / "a.h5")
        with h5py.File(file, "a") as h5:
            h5[MOTORS[0]].attrs["units"], h5[MOTORS[1]].attrs["units"] = "mm", "um"
        with pytest.raises(LayoutError, match=r"unit: .*motor_x is in 'mm', and .*motor_y in 'um'"):
            self.load(file, protocol(unit="m"))


def test_the_unit_of_all_columns_is_that_of_the_attribute(tmp_path):
    file = run(tmp_path / "a.h5")
    with h5py.File(file, "a") as h5:
        for motor in MOTORS:
            h5[motor].attrs["units"] = "mm"
    loaded = CXIStore(file, protocol=protocol(unit="m")).load_attribute("translations")
    np.testing.assert_allclose(loaded, stored(file) * 1e-3)


def test_explain_shows_each_column(tmp_path):
    told = CXIStore(run(tmp_path / "a.h5"), protocol=protocol()).explain("translations")
    assert all(motor in told for motor in MOTORS)
    assert "put together of 3 datasets" in told


@pytest.mark.parametrize("paths", [(COLUMNS,), (COLUMNS, "/a b"), ("/a", COLUMNS), ("'(/a", "/b)")])
def test_ini_files_hold_them(tmp_path, paths):
    chosen = protocol(*paths)
    chosen.to_ini(tmp_path / "p.ini")
    assert CXIProtocol.import_ini(tmp_path / "p.ini") == chosen
    assert chosen.load_paths["translations"] == paths
    if COLUMNS in paths:
        assert COLUMNS in (tmp_path / "p.ini").read_text()
        assert f"'{COLUMNS}'" not in (tmp_path / "p.ini").read_text()


def test_columns_may_be_given_as_a_tuple():
    assert protocol(MOTORS).load_paths["translations"] == (COLUMNS,)


@pytest.mark.parametrize(
    ("path", "datatype", "kind", "why"),
    [
        ("(/x)", "float", "sequence", "two paths or more"),
        ("(/x, y)", "float", "sequence", "two paths or more"),
        ("(/x, /x)", "float", "sequence", "two paths or more"),
        ("(/x, /y)", "float", "stack", "not a float stack"),
        ("(/x, /y)", "str", "sequence", "not a str sequence"),
    ],
)
def test_a_protocol_says_what_columns_may_be(path, datatype, kind, why):
    with pytest.raises(ProtocolError, match=f"load_paths.*key xy: .*{why}"):
        CXIProtocol({"xy": datatype}, {"xy": [path]}, {"xy": kind})


def test_a_save_to_columns_is_refused_in_words_and_leaves_the_file(tmp_path):
    file = run(tmp_path / "a.h5")
    before = stored(file)
    for name in (file, put(tmp_path / "b.h5", {DATA: frames(5, (6, 8))})):
        with pytest.raises(LayoutError, match="lies in 3 datasets, a column in each"):
            CXIStore(name, "r+", protocol=protocol()).save_attribute("translations", before + 1)
    np.testing.assert_array_equal(stored(file), before)


def test_columns_are_converted_to_one_dataset(tmp_path):
    file = run(tmp_path / "a.h5")
    target = CXIStore(str(tmp_path / "new.cxi"), "w", protocol="cxi")
    convert(CXIStore(file, protocol=protocol()), target, verbose=False)
    written = CXIStore(str(tmp_path / "new.cxi"), protocol="cxi")
    np.testing.assert_array_equal(written.load_attribute("translations"), stored(file))
