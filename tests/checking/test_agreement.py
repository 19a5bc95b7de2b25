"""What files have of one thing is compared as it is stored, where that settles it.

The oracle is the comparison of loaded values, of which none is taken as it is stored.
"""

from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cxistack import CXIProtocol, CXIStore
from cxistack.checking import agreement
from cxistack.checking.agreement import differences
from factory.folders import fast_folder

PROTOCOL = CXIProtocol(
    {"x": "float", "map": "float", "mask": "bool", "word": "str", "n": "uint"},
    {
        "x": ["/x", "/other/x"],
        "map": ["/map"],
        "mask": ["/mask"],
        "word": ["/word"],
        "n": ["/n"],
    },
    {"map": "frame", "mask": "frame"},
    units={"x": ["m", "mm"]},
)
NUMBERS = st.sampled_from([0.0, -0.0, 1.0, 1000.0, np.nan, np.inf])
VALUES = {
    "/x": st.builds(
        lambda value, dtype: np.array(value, dtype), NUMBERS, st.sampled_from(["f4", "f8"])
    ),
    "/other/x": NUMBERS.map(np.float64),
    "/map": st.builds(lambda value, rows: np.full((rows, 3), value), NUMBERS, st.integers(1, 2)),
    "/mask": st.sampled_from(
        [np.ones((2, 3), bool), np.zeros((2, 3), bool), np.eye(2, 3, dtype="u1")]
    ),
    "/word": st.sampled_from(["one", "two", ""]),
    "/n": st.sampled_from([np.uint8(1), np.int64(1), np.int64(-1), np.uint32(2)]),
}
UNITS = st.sampled_from([None, None, "m", "mm", "micorn"])
HOW = st.sampled_from([{}, {}, {"chunks": True}, {"chunks": True, "compression": "gzip"}])
FILES = st.dictionaries(st.sampled_from(list(VALUES)), st.tuples(st.integers(0, 3), UNITS, HOW))


@settings(max_examples=60)
@given(base=FILES, changes=st.lists(FILES, min_size=1, max_size=3), data=st.data())
def test_what_is_stored_alike_is_alike_and_all_else_is_loaded(base, changes, data):
    drawn = {path: [data.draw(values) for _ in range(4)] for path, values in VALUES.items()}
    runs = [base, *({**base, **change} for change in changes), base]
    with fast_folder() as folder:
        names = []
        for number, run in enumerate(runs):
            names.append(str(Path(folder) / f"{number}.h5"))
            with h5py.File(names[-1], "w") as h5:
                for path, (which, unit, how) in run.items():
                    value = drawn[path][which]
                    is_simple = path == "/word" or value.ndim == 0
                    h5.create_dataset(path, data=value, **({} if is_simple else how))
                    if unit is not None:
                        h5[path].attrs["units"] = unit
        store = CXIStore(names, protocol=PROTOCOL)
        found = differences(store._catalogue)
        usual, agreement._SMALLEST = agreement._SMALLEST, -1
        try:
            expected = differences(store._catalogue)
        finally:
            agreement._SMALLEST = usual
        assert found == expected


def test_values_that_are_alike_are_not_loaded(tmp_path, monkeypatch):
    names = []
    for number in range(70):
        names.append(str(tmp_path / f"{number}.h5"))
        with h5py.File(names[-1], "w") as h5:
            h5["/x"], h5["/map"] = (2.0 if number == 50 else 1.0), np.ones((4, 5))
    loaded = []
    for name in ("prepare_single", "prepare_singles"):
        plain = getattr(agreement, name)

        def counted(files, wanted, found, use=None, plain=plain):
            loaded.extend(found if isinstance(found, list) else [found])
            return plain(files, wanted, found, use)

        monkeypatch.setattr(agreement, name, counted)
    (problem,) = CXIStore(names, protocol=PROTOCOL).problems
    assert problem.filename == names[50]
    assert len(loaded) == 3  # of the first file two, and the one that differs


UNLIKE = {
    "unit": [("/x", np.float64(2), "m"), ("/x", np.float64(2), "mm")],
    "unit of the path": [("/x", np.float64(2), None), ("/other/x", np.float64(2), None)],
    "type": [("/n", np.uint64(4607182418800017408), None), ("/n", np.float64(1), None)],
    "shape": [("/map", np.ones((2, 3)), None), ("/map", np.ones((3, 2)), None)],
}


@pytest.mark.parametrize("kind", list(UNLIKE))
def test_the_same_bytes_that_mean_something_else_differ(tmp_path, kind):
    names = []
    for number, (path, value, unit) in enumerate([UNLIKE[kind][0], *UNLIKE[kind]]):
        names.append(str(tmp_path / f"{number}.h5"))
        with h5py.File(names[-1], "w") as h5:
            h5[path] = value
            if unit is not None:
                h5[path].attrs["units"] = unit
    protocol = PROTOCOL.add_attribute("n", "number", ["/n"], "scalar")
    (problem,) = CXIStore(names, protocol=protocol).problems
    assert problem.filename == names[2]
