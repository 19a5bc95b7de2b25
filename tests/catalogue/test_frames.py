"""Which frames an index means: those that it means in NumPy."""

import numpy as np
import pytest

from cxistack import FrameIndexError


class TestIdxsFollowNumPy:
    SELECTIONS = (
        slice(None),
        slice(2, 6),
        slice(None, None, -3),
        slice(5, 2),
        range(1, 8, 2),
        [7, 0, 0, 3],
        (1, 2),
        [-1, -8],
        np.array([4, 4, -2], np.int8),
        np.array([3, 1], np.uint64),
        np.arange(8) % 3 == 0,
        [True, False] * 4,
        np.zeros(8, bool),
        np.array([], int),
    )

    @pytest.mark.parametrize("idxs", SELECTIONS, ids=repr)
    def test_the_result_is_in_the_order_asked_for(self, run, parts, idxs):
        whole = np.concatenate(parts)
        expected = whole[idxs if isinstance(idxs, slice) else np.asarray(idxs)]
        np.testing.assert_array_equal(run.load_attribute("data", idxs=idxs), expected)
        idxs = list(idxs) if isinstance(idxs, tuple) else idxs  # a tuple indexes several axes
        np.testing.assert_array_equal(run["data"][idxs], whole[idxs], strict=True)

    def test_none_is_all_frames(self, run, parts):
        np.testing.assert_array_equal(run.load_attribute("data", None), np.concatenate(parts))

    @pytest.mark.parametrize("idx", [0, 5, -1, np.int64(3), np.uint8(7)])
    def test_an_int_keeps_the_frame_axis_and_the_lazy_stack_drops_it(self, run, parts, idx):
        frame = np.concatenate(parts)[idx]
        np.testing.assert_array_equal(run.load_attribute("data", idx), frame[None], strict=True)
        np.testing.assert_array_equal(run["data"][idx], frame, strict=True)

    @pytest.mark.parametrize("idxs", [8, -9, [0, 8], [-9], np.array([2**63], np.uint64), 2**70])
    def test_a_frame_that_is_not_there_raises(self, run, idxs):
        with pytest.raises(IndexError, match="8"):
            run.load_attribute("data", idxs=idxs)

    @pytest.mark.parametrize("idxs", [1.0, [0.5], np.array([1.0]), "1", ["a"], [[0, 1]], [None]])
    def test_what_is_not_an_index_raises(self, run, idxs):
        with pytest.raises((IndexError, TypeError, ValueError)):
            run.load_attribute("data", idxs=idxs)

    @pytest.mark.parametrize("length", [7, 9, 1])
    def test_a_boolean_mask_of_another_length_raises(self, run, length):
        with pytest.raises(FrameIndexError):
            run.load_attribute("data", idxs=np.ones(length, bool))
