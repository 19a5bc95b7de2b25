"""One class says that something is wrong: in problems, in checks, in what is not CXI."""

import json

import h5py
import numpy as np
import pytest

import cxistack
from cxistack import CXIStore
from cxistack.checking.agreement import differences
from cxistack.checking.findings import Finding
from factory import DATA, DISTANCE, WHITEFIELD, frames, put

KEYS = {
    *("check", "attribute", "filename", "cause", "dataset", "frames", "rows", "chunk"),
    "is_warning",
}


def test_problem_is_its_other_name():
    assert cxistack.Problem is cxistack.Finding


def test_a_problem_is_told_by_attribute_and_a_finding_by_place():
    problem = Finding("", "data", "a.cxi", "it is flat")
    assert (problem.message, str(problem)) == ("it is flat", "data: it is flat")
    assert str(Finding("", "", "a.cxi", "it is empty")) == "a.cxi: it is empty"
    assert str(Finding("there", "data", "a.cxi", "it is flat")) == "a.cxi: data: it is flat"
    place = Finding("decodes", "data", "a.cxi", "lost", "/x", (1, 2), (3, 4), (3, 0))
    assert str(place) == "a.cxi:/x, frames 1 to 2, chunk at (3, 0): data: lost"


@pytest.mark.parametrize(("is_warning", "severity"), [(False, "error"), (True, "warning")])
def test_its_severity_is_said_where_no_attribute_is_concerned(is_warning, severity):
    finding = Finding("conforms", "", "a.cxi", "old", "/x", is_warning=is_warning, rule="version")
    assert finding.severity == severity
    assert str(finding) == f"a.cxi:/x: {'warning: ' * is_warning}old"


def test_its_json_has_the_same_names_for_every_check():
    finding = Finding("conforms", "", "a.cxi", "old", rule="version", chunk=(1, 0))
    assert set(json.loads(json.dumps(finding.as_dict()))) == KEYS


class TestDifferences:
    def test_of_each_file_in_the_order_of_attributes_and_files(self, tmp_path):
        white = np.ones((5, 7))
        names = [
            put(tmp_path / f"{n}.h5", {DATA: frames(1), DISTANCE: n // 2, WHITEFIELD: white + n})
            for n in range(4)
        ]
        found = [(one.attribute, one.filename) for one in CXIStore(names).problems]
        assert found == [
            *(("distance", name) for name in names[2:]),
            *(("whitefield", name) for name in names[1:]),
        ]

    def test_before_a_value_that_cannot_be_read_are_told_all_the_same(self, tmp_path):
        names = [put(tmp_path / f"{n}.h5", {WHITEFIELD: np.full((5, 7), n)}) for n in range(2)]
        with h5py.File(tmp_path / "2.h5", "w") as h5:
            data = np.ones((5, 7), np.int64)
            h5.create_dataset(WHITEFIELD, data=data, chunks=(5, 7), fletcher32=True)
            offset = h5[WHITEFIELD].id.get_chunk_info(0).byte_offset
        content = bytearray((tmp_path / "2.h5").read_bytes())
        content[offset] ^= 1
        (tmp_path / "2.h5").write_bytes(content)
        store = CXIStore([*names, str(tmp_path / "2.h5")])
        first, second = differences(store._catalogue)
        assert first.filename == names[1]
        assert "2.h5" in second.message
