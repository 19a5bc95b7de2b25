"""A container saves as many frames of each attribute as there are of data, or nothing."""

from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxistack import CXIStore, LayoutError, STData
from factory import BASIS, DATA, MASK, TRANSLATIONS, WHITEFIELD, frames, put

ALL = {
    DATA: frames(3),
    MASK: frames(3, dtype="bool"),
    TRANSLATIONS: np.arange(9.0).reshape(3, 3),
    BASIS: np.arange(18.0).reshape(3, 2, 3),
}
NAMES = {DATA: "data", MASK: "mask", TRANSLATIONS: "translations", BASIS: "basis_vectors"}


@pytest.fixture
def st_of(tmp_path):
    """Return a container of three frames that saves to a file with some of the attributes."""

    def made(*paths, **others):
        values = {path: ALL[path] for path in paths} | others
        output = CXIStore(put(tmp_path / "out.cxi", values, "w"), "r+")
        source = CXIStore(put(tmp_path / "in.cxi", ALL, "w"))
        return STData(source, output_file=output).load(verbose=False)

    return made


def refused(st, *arguments, match, **options):
    name = Path(st.output_file.paths()[0])
    before = name.read_bytes()
    with pytest.raises(LayoutError, match=match):
        st.save(*arguments, **options)
    assert name.read_bytes() == before


class TestAppending:
    @pytest.mark.parametrize("path", [MASK, TRANSLATIONS, BASIS])
    def test_what_the_frames_before_have_not_is_refused(self, st_of, path):
        attr = NAMES[path]
        refused(
            st_of(DATA),
            ["data", attr],
            match=rf"out\.cxi would have 6 frames of 'data' and 3 of '{attr}', of which .* 3 and 0",
        )

    @pytest.mark.parametrize("mode", ["append", "insert"])
    @pytest.mark.parametrize("path", [MASK, TRANSLATIONS, BASIS])
    def test_what_goes_with_data_may_follow(self, st_of, path, mode):
        options = {"mode": mode, "idxs": [3, 4, 5] if mode == "insert" else None}
        st, attr = st_of(DATA, path), NAMES[path]
        words = f"would have 3 frames of 'data' and 6 of '{attr}', .*: save those of 'data' first"
        refused(st, attr, match=words, **options)
        st.save("data", **options)
        with pytest.raises(LayoutError, match=f"6 frames of 'data' and 3 of '{attr}'"):
            st.output_file.load_attribute(attr, [0])
        st.save(attr, **options)
        loaded = st.output_file.load_attribute(attr, range(6), verbose=False)
        np.testing.assert_array_equal(loaded, np.concatenate([ALL[path]] * 2))

    def test_what_goes_with_data_may_follow_in_a_transaction(self, st_of):
        st = st_of(*ALL)
        with st.output_file.transaction():
            for attr in ("data", "mask", "translations", "basis_vectors"):
                st.save(attr)
        assert (st.output_file.frame_count, st.output_file.problems) == (6, [])

    def test_a_mask_of_all_frames_goes_on_with_others_of_a_transaction(self, st_of):
        st = st_of(WHITEFIELD=1.0)
        with st.output_file.transaction():
            st.save(["data", "mask"])
            st.replace(mask=None).save(["data", "mask"])
        masks = st.output_file.load_attribute("mask", range(6), verbose=False)
        np.testing.assert_array_equal(masks, [*ALL[MASK], *np.ones((3, 5, 7), bool)])

    def test_what_fell_behind_goes_on_with_no_others(self, st_of):
        st = st_of(DATA, MASK)
        st.save("data")
        refused(st, ["data", "mask"], match="9 frames of 'data' and 6 of 'mask'")
        st.save("data")
        refused(st, "mask", match="9 frames of 'data' and 6 of 'mask'")

    def test_a_mask_of_all_frames_goes_on_with_masks_without_data(self, st_of):
        st = st_of(MASK)
        one = np.zeros((5, 7), bool)
        st.replace(data=None, mask=np.broadcast_to(one, (3, 5, 7))).save("mask")
        masks = st.output_file.load_attribute("mask", verbose=False)
        np.testing.assert_array_equal(masks, [*ALL[MASK], one, one, one])

    def test_all_together_goes_on(self, st_of):
        st = st_of(*ALL)
        st.save()
        for path, values in ALL.items():
            loaded = st.output_file.load_attribute(NAMES[path], slice(None), verbose=False)
            np.testing.assert_array_equal(loaded, np.concatenate([values, values]))

    def test_brings_in_step_what_is_out_of_step(self, st_of):
        st = st_of(MASK, **{DATA: frames(6)})
        st.save("mask")
        assert len(st.output_file.load_attribute("mask", slice(None))) == 6

    def test_one_frame_that_stands_for_all_needs_no_more(self, st_of):
        st = st_of(DATA, **{MASK: np.ones((5, 7), bool)})
        st.replace(mask=np.ones((3, 5, 7), bool)).save(["data", "mask"])
        assert st.output_file.load_attribute("mask", slice(None)).shape == (6, 5, 7)
        st.save("data")
        assert st.output_file.load_attribute("mask", slice(None)).shape == (9, 5, 7)

    def test_one_mask_of_all_new_frames_says_nothing_of_those_before(self, st_of):
        st = st_of(DATA).replace(mask=np.broadcast_to(ALL[MASK][0], (3, 5, 7)))
        refused(st, ["data", "mask"], match="6 frames of 'data' and 3 of 'mask'")

    def test_a_single_image_is_one_frame(self, st_of):
        st = st_of(DATA).replace(data=frames(1)[0], mask=None)
        st.save("data")
        assert st.output_file.frame_count == 4

    def test_to_results_without_data_needs_none(self, st_of):
        st = st_of(TRANSLATIONS, **{WHITEFIELD: np.ones((5, 7))})
        st.save(["mask", "translations"])
        assert st.output_file["translations"].shape == (6, 3)

    def test_what_another_has_saved_meanwhile_counts(self, st_of):
        st = st_of(WHITEFIELD=1.0)
        assert st.output_file.found == []
        with CXIStore(st.output_file.paths(), "r+") as other:
            other.save_attribute("data", frames(2))
        refused(st, ["data", "mask"], match="would have 5 frames of 'data' and 3 of 'mask'")


class TestOneFrameRepeated:
    """As NumPy repeats it without taking memory, and as one mask of all frames is loaded."""

    @pytest.mark.parametrize("mode", ["append", "overwrite"])
    @pytest.mark.parametrize("attr", ["data", "pixel_map", "basis_vectors", "whitefields"])
    def test_is_saved_as_what_it_is(self, st_of, attr, mode):
        frame = np.arange(35.0 if attr != "data" else 35).reshape(5, 7)
        repeated = np.broadcast_to(frame, (3, 5, 7))
        st = st_of(WHITEFIELD=1.0).replace(**{attr: repeated})
        st.save(["data", attr], mode=mode)
        saved = st.output_file.load_attribute(attr, slice(None), verbose=False)
        np.testing.assert_array_equal(saved, repeated)

    def test_is_a_mask_of_its_own_where_it_is_one_of_one_frame(self, st_of):
        st = st_of(WHITEFIELD=1.0)
        for number in range(3):
            mask = ALL[MASK][number]
            st.replace(data=ALL[DATA][number][None], mask=mask[None]).save(["data", "mask"])
        np.testing.assert_array_equal(st.output_file["mask"][:], ALL[MASK])


class TestInserting:
    def test_among_the_frames_that_are_there_changes_no_count(self, st_of):
        st = st_of(DATA, MASK)
        st.mask_frames([0, 1]).save("data", mode="insert", idxs=[2, 0])
        np.testing.assert_array_equal(
            st.output_file["data"][:], [ALL[DATA][1], ALL[DATA][1], ALL[DATA][0]]
        )


class TestOverwriting:
    def test_of_data_alone_is_a_beginning(self, st_of):
        st = st_of(DATA, MASK)
        st.mask_frames([0, 1]).save("data", mode="overwrite")
        st.mask_frames([0, 1]).save("mask", mode="overwrite")
        assert st.output_file.load_attribute("mask", [1]).shape == (1, 5, 7)

    def test_with_fewer_than_there_are_of_data_is_refused(self, st_of):
        words = "would have 3 frames of 'data' and 2 of 'mask'"
        refused(st_of(DATA).mask_frames([0, 2]), "mask", mode="overwrite", match=words)

    def test_of_what_does_not_go_together_is_refused(self, st_of):
        st = st_of(DATA).replace(translations=np.ones((4, 3)))
        words = "the container has 3 frames of 'data' and 4 of 'translations'"
        for attrs in ("translations", ["data", "translations"]):
            refused(st, attrs, mode="overwrite", match=words)
        st = st.replace(data=None, translations=np.ones((4, 3)))
        words = "would have 3 frames of 'data' and 4 of 'translations'"
        refused(st, "translations", mode="overwrite", match=words)


class TestGoodFrames:
    """They number the container's frames, and in a file the file's."""

    @pytest.mark.parametrize("good", [[0, 2], [2, 1, 0], [0, 1]])
    def test_of_which_only_the_good_are_saved_are_refused(self, st_of, good):
        st = st_of(DATA).replace(good_frames=np.array(good))
        for mode in ("append", "overwrite"):
            if good != [0, 1] or mode == "append":
                refused(st, ["data", "good_frames"], mode=mode, match="leave 'good_frames' out")

    def test_that_are_all_are_saved_with_the_first_frames(self, st_of):
        st = st_of(WHITEFIELD=1.0).mask_frames([0, 1, 2])
        st.save(["data", "good_frames"])
        assert st.output_file.load_attribute("good_frames").tolist() == [0, 1, 2]
        refused(st, ["data", "good_frames"], match="leave 'good_frames' out")

    def test_alone_are_those_of_the_run(self, st_of):
        st = st_of(DATA).mask_frames([0, 2])
        st.save("good_frames")
        assert st.output_file.load_attribute("good_frames").tolist() == [0, 2]
        st = st.load(["data"], idxs=[1, 2], verbose=False).mask_frames([1])
        refused(st, "good_frames", match=r"save frames\[good_frames\]")


@given(
    there=st.sets(st.sampled_from(list(ALL))),
    saved=st.sets(st.sampled_from(list(NAMES.values())), min_size=1),
    mode=st.sampled_from(["append", "insert"]),
    first=st.integers(0, 3),
)
def test_no_save_gives_frames_the_numbers_of_others(tmp_path_factory, there, saved, mode, first):
    folder = tmp_path_factory.mktemp("run")
    output = CXIStore(put(folder / "out.cxi", {path: ALL[path] for path in there}), "a")
    st = STData(CXIStore(put(folder / "in.cxi", ALL)), output_file=output).load(verbose=False)
    idxs = None if mode == "append" else range(first, first + 3)
    with suppress(LayoutError, IndexError):
        st.save(sorted(saved), mode=mode, idxs=idxs)
    behind = {one.attribute for one in output.problems}
    assert behind.isdisjoint(saved)
    assert "data" in saved or not behind
    for attr in behind:
        assert len(output.load_attribute(attr, verbose=False)) == 3 < output.frame_count
