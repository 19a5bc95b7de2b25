"""What does not fit is told as a problem that names the attribute and the file."""

import numpy as np
import pytest

import factory
from cxistack import CXIStore, LayoutError
from factory import DATA, DISTANCE, MASK, WAVELENGTH, WHITEFIELD, frames, put


@pytest.mark.parametrize(("attr", "path"), [("whitefield", WHITEFIELD), ("data", DATA)])
@pytest.mark.parametrize("shape", [(), (35,)])
def test_a_frame_of_less_than_two_axes_is_a_problem(tmp_path, attr, path, shape):
    store = CXIStore(put(tmp_path / "low.h5", {path: np.ones(shape)}))
    assert [problem.attribute for problem in store.problems] == [attr]
    with pytest.raises(LayoutError, match=r"low\.h5"):
        store.load_attribute(attr)


class TestScalarsOfSeveralFiles:
    def test_that_differ_are_a_problem_that_names_the_files(self, tmp_path):
        names = [
            put(tmp_path / f"{n}.h5", {DISTANCE: 0.5, WAVELENGTH: [value]})
            for n, value in enumerate([1.0, 1.0, 3.0])
        ]
        (problem,) = CXIStore(names).problems
        assert (problem.attribute, problem.filename) == ("wavelength", names[2])
        assert "2.h5" in str(problem)

    def test_that_are_nan_everywhere_do_not_differ(self, tmp_path):
        names = [put(tmp_path / f"{n}.h5", {DISTANCE: np.nan}) for n in range(2)]
        assert CXIStore(names).problems == []


class TestFramesInSeveralFiles:
    def test_the_first_is_loaded_and_the_others_are_compared(self, tmp_path):
        white = np.ones((5, 7))
        names = [put(tmp_path / f"{n}.h5", {WHITEFIELD: white + (n > 1)}) for n in range(3)]
        store = CXIStore(names)
        np.testing.assert_array_equal(store.load_attribute("whitefield"), white)
        assert [problem.filename for problem in store.problems] == [names[2]]
        np.testing.assert_array_equal(store.load_attribute("whitefield", source=2), white + 1)


def test_what_does_not_fit_is_told_in_problems_and_in_the_table(tmp_path):
    names = factory.many_files(tmp_path, [frames(2), frames(3)])
    put(names[0], {MASK: np.ones(4, bool), DISTANCE: np.ones((1, 1, 1))})
    store = CXIStore(names)
    assert {problem.attribute for problem in store.problems} == {"mask", "distance"}
    for problem in store.problems:
        assert problem.filename == names[0]
        assert problem.message in repr(store)
        with pytest.raises(ValueError, match=r"run_8\.cxi"):
            store.load_attribute(problem.attribute)
    assert len(store.load_attribute("data")) == 5


def test_one_bad_file_among_good_ones_is_a_problem_that_has_its_name(tmp_path):
    names = [put(tmp_path / "a.cxi", {DATA: frames(1)}), factory.not_hdf5(tmp_path)]
    store = CXIStore(names)
    assert {problem.filename for problem in store.problems} == {names[1]}
    with pytest.raises(OSError, match=r"notes\.cxi"):
        store.load_attribute("data")
