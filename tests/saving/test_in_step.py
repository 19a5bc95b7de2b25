"""Changed in place, a file is never left with what does not go together, where that can be known.

What is refused is refused before the first byte is written: the file's bytes tell.
"""

from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from cxistack import CXIStore, LayoutError, STData, StorageError
from factory import DATA, MASK, TRANSLATIONS, frames, put

GRID = (5, 7)


@pytest.fixture
def name(tmp_path):
    values = {DATA: frames(4), MASK: np.ones((4, *GRID), bool), TRANSLATIONS: np.zeros((4, 3))}
    return put(tmp_path / "run.cxi", values)


def refused(name, action, match):
    before = Path(name).read_bytes()
    with pytest.raises(LayoutError, match=match):
        action()
    assert Path(name).read_bytes() == before


class TestInATransactionThatChangesInPlace:
    def test_what_has_fewer_frames_than_data_is_refused_by_its_own_save(self, name):
        store = CXIStore(name, "r+", safe=False)
        with suppress(LayoutError), store.transaction():
            store.save_attribute("data", frames(3), "append")
            refused(
                name,
                lambda: store.save_attribute("mask", np.ones((2, *GRID), bool), "append"),
                "would have 7 frames of 'data' and 6 of 'mask', of which it has 7 and 4 now",
            )
            store.save_attribute("mask", np.ones((3, *GRID), bool), "append")
            store.save_attribute("translations", np.zeros((7, 3)))
        assert store.problems == []

    def test_what_goes_with_data_comes_after_it(self, name):
        store = CXIStore(name, "r+", safe=False)
        with suppress(LayoutError), store.transaction():
            refused(
                name,
                lambda: store.save_attribute("mask", np.ones((2, *GRID), bool), "append"),
                "would have 4 frames of 'data' and 6 of 'mask', .*: save those of 'data' first, or",
            )

    def test_the_number_of_a_frame_that_is_not_there_is_refused_by_its_own_save(self, name):
        store = CXIStore(name, "r+", safe=False)
        with suppress(LayoutError), store.transaction():
            store.save_attribute("data", frames(1), "append")
            refused(name, lambda: store.save_attribute("good_frames", [5]), "names frame 5")
            store.save_attribute("good_frames", [4])
        assert store.load_attribute("good_frames") == [4]

    def test_a_writers_frames_are_counted_at_the_end(self, name):
        store = CXIStore(name, "r+", safe=False)
        with store.transaction():
            store.save_attribute("data", frames(2), "append")
            with store.writer("mask", mode="append") as writer:
                writer.append(np.ones((1, *GRID), bool))
                writer.append(np.ones((1, *GRID), bool))
        assert store["mask"].shape == (6, *GRID)
        with (
            pytest.raises(LayoutError, match="6 frames of 'data' and 7 of 'mask'"),
            store.writer("mask", mode="append") as writer,
        ):
            writer.append(np.ones((1, *GRID), bool))


class TestAContainer:
    @pytest.fixture
    def st(self, name, tmp_path):
        values = {DATA: frames(3), MASK: np.ones((3, *GRID), bool), TRANSLATIONS: np.ones((3, 3))}
        source = CXIStore(put(tmp_path / "in.cxi", values))
        output = CXIStore(name, "r+", safe=False)
        return STData(source, output_file=output).load(verbose=False)

    @pytest.mark.parametrize(
        "order", [["mask", "translations", "data"], ["data", "mask", "translations"]]
    )
    def test_saves_in_place_what_goes_together_in_any_order(self, st, order):
        st.save(order)
        output = st.output_file
        assert output.problems == []
        assert [len(output[attr]) for attr in order] == [7, 7, 7]

    def test_saves_nothing_in_place_of_what_does_not(self, st, name):
        st.output_file.save_attribute("data", frames(1), "append")
        refused(name, lambda: st.save(["data", "mask"]), "8 frames of 'data' and 7 of 'mask'")
        refused(name, lambda: st.save(["mask", "data"]), "8 frames of 'data' and 7 of 'mask'")

    def test_saves_data_before_what_fails(self, st, name, monkeypatch):
        from cxistack.saving import save

        real = save.run

        def run(transaction, change):
            if change.attribute.name == "mask":
                raise StorageError("the disk")
            return real(transaction, change)

        monkeypatch.setattr(save, "run", run)
        with pytest.raises(StorageError, match="the disk"):
            st.save(["mask", "data"])
        assert CXIStore(name)["data"].shape == (7, *GRID)  # which may be ahead


@pytest.mark.parametrize("safe", [True, False])
@pytest.mark.parametrize("factor", [1, 1.1])
def test_a_container_saves_an_energy_and_its_wavelength_together(tmp_path, safe, factor):
    path = "/entry_1/instrument_1/source_1"
    old = {f"{path}/energy": 1e-15, f"{path}/wavelength": 1.98644586e-10}
    name = put(tmp_path / "out.cxi", old)
    new = {f"{path}/energy": 2e-15, f"{path}/wavelength": 0.99322293e-10 * factor}
    source = CXIStore(put(tmp_path / "in.cxi", new), protocol="cxi")
    st = STData(source, output_file=CXIStore(name, "r+", protocol="cxi", safe=safe))
    st = st.load(["energy", "wavelength"], verbose=False)
    if factor == 1:
        st.save(["energy", "wavelength"], mode="overwrite")
        assert CXIStore(name, protocol="cxi").load_attribute("energy") == 2e-15
    else:
        refused(name, lambda: st.save(["energy", "wavelength"]), "contradicts .* both are saved")
