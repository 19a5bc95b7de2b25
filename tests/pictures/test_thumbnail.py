"""What notebooks show: the text's facts, escaped, and a picture or why there is none."""

import base64
import io
import pickle
import re
import sys

import h5py
import numpy as np
import pytest
from PIL import Image

from cxistack import Crop, CXIProtocol, CXIStore, Downscale, STData
from cxistack.loading.explain import Explanation
from cxistack.pictures import thumbnail

DATA = "/entry_1/instrument_1/detector_1/data"


def write(path, frames, **how):
    with h5py.File(path, "w") as h5:
        h5.create_dataset(DATA, data=frames, **how)
    return str(path)


@pytest.fixture
def frames():
    return np.random.default_rng(4).poisson(20, (5, 300, 200)).astype(np.uint16)


@pytest.fixture
def name(tmp_path, frames):
    return write(tmp_path / "run.cxi", frames)


def picture_in(page):
    """Return the picture of a page as indices of its palette."""
    (found,) = re.findall(r'src="data:image/png;base64,([^"]+)"', page)
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(found))))


def text_of(page):
    return re.sub(r"<style>.*?</style>|<[^>]*>", " ", page, flags=re.DOTALL)


def test_a_store_shows_its_table_and_its_first_frame(name, frames):
    store = CXIStore(name)
    page = store._repr_html_()
    for word in ("data", "stack", "(5, 300, 200)", "uint16"):
        assert f"<td>{word}</td>" in page
    small = picture_in(page)
    assert small.shape == (100, 67)
    # Brighter where the frame is, at every third pixel.
    shown = frames[0, ::3, ::3].astype(float)
    assert np.corrcoef(small.ravel(), shown.ravel())[0, 1] > 0.98
    assert "frame 0 of 5, 1 pixel of 3 × 3" in text_of(page)


def test_names_and_problems_are_escaped(tmp_path, frames):
    name = write(tmp_path / "<b>&run.cxi", frames)
    with h5py.File(name, "r+") as h5:
        h5["/entry_1/instrument_1/detector_1/mask"] = np.zeros((4, 300, 200), np.uint32)
    page = CXIStore(name)._repr_html_()
    assert "<b>" not in page
    assert "&lt;b&gt;&amp;run.cxi" in page
    assert '<li class="bad">' in page


def test_a_lazy_stack_shows_how_it_is_stored_and_what_it_is(name):
    store = CXIStore(name)
    lazy = store["data"].transform([Crop([0, 100, 0, 200]), Downscale(2, mode="sum")])
    page = lazy._repr_html_()
    assert "data: uint64 (5, 50, 100), not read" in text_of(page)
    assert f"{5 * 50 * 100 * 8:,}" in page
    assert picture_in(page).shape == (50, 100)
    store.close()
    with h5py.File(name, "r+") as h5:
        h5["/entry_1/instrument_1/detector_1/distance"] = 0.5
    page = CXIStore(name, protocol="cxi")["distance"]._repr_html_()
    assert "<img" not in page
    assert "<td>m</td>" in page


def test_a_container_shows_what_it_has_and_makes_nothing(name, frames):
    st = STData(CXIStore(name)).load("data")
    page = st._repr_html_()
    assert "<td>uint16 (5, 300, 200)</td>" in page
    assert picture_in(page).shape == (100, 67)
    assert "whitefield" not in st._made
    assert "<img" not in STData(CXIStore(name))._repr_html_()


def test_a_protocol_shows_its_places():
    protocol = CXIProtocol.import_named("nxmx")
    page = protocol._repr_html_()
    plain = re.sub(r"\s+", "", text_of(page.replace("<wbr>", "")))
    for attr, paths in protocol.load_paths.items():
        assert attr in plain
        assert all(path.replace(" ", "") in plain for path in paths)


def test_an_explanation_is_the_text_that_it_was(name):
    told = CXIStore(name).explain("data", transform=Crop([0, 9, 0, 9]))
    assert isinstance(told, str)
    assert told.startswith("data: 5 of 5 frames")
    assert pickle.loads(pickle.dumps(told)) == told
    assert all(line.strip() in text_of(told._repr_html_()) for line in told.split("\n"))
    assert Explanation("one line")._repr_html_().count("<pre>") == 0


class TestWithoutAPicture:
    """It is said why there is none; nothing raises."""

    def test_where_the_file_is_damaged(self, tmp_path, frames):
        name = write(tmp_path / "run.cxi", frames, chunks=(1, 300, 200), compression="gzip")
        with h5py.File(name) as h5:
            where = h5[DATA].id.get_chunk_info(0).byte_offset
        with open(name, "r+b") as file:  # noqa: PTH123
            file.seek(where)
            file.write(b"\0" * 64)
        page = CXIStore(name)._repr_html_()
        assert "no picture: " in page
        assert "<img" not in page
        assert "(5, 300, 200)" in page

    def test_where_its_chunks_are_large(self, tmp_path, frames, monkeypatch):
        monkeypatch.setattr(thumbnail, "_MOST_BYTES", 100_000)
        assert (
            "lies in 0 MiB of chunks" in CXIStore(write(tmp_path / "a.cxi", frames))._repr_html_()
        )
        monkeypatch.setattr(thumbnail, "_MOST_BYTES", 120_000)
        assert "<img" in CXIStore(write(tmp_path / "b.cxi", frames))._repr_html_()
        name = write(tmp_path / "c.cxi", frames, chunks=(5, 10, 200))
        assert "no picture" in CXIStore(name)._repr_html_()

    def test_where_pillow_is_not_installed(self, name, monkeypatch):
        monkeypatch.setitem(sys.modules, "PIL", None)
        assert "pip install &#x27;cxistack[plot]&#x27;" in CXIStore(name)._repr_html_()

    def test_where_the_store_is_closed(self, name):
        store = CXIStore(name)
        store.close()
        assert "closed CXIStore of 1 files" in store._repr_html_()

    def test_where_nothing_is_found(self, tmp_path):
        with h5py.File(tmp_path / "empty.h5", "w"):
            pass
        assert "none of the protocol" in CXIStore(str(tmp_path / "empty.h5"))._repr_html_()


def test_of_many_files_it_opens_one_more_than_the_text_does(tmp_path, frames, monkeypatch):
    names = [write(tmp_path / f"run_{k}.cxi", frames[:1, :9, :9]) for k in range(20)]
    opened = []
    plain = h5py.h5f.open

    def counted(path, *words, **more):
        opened.append(path)
        return plain(path, *words, **more)

    monkeypatch.setattr(h5py.h5f, "open", counted)
    repr(CXIStore(names))
    as_text = len(opened)
    CXIStore(names)._repr_html_()
    assert len(opened) - as_text <= as_text + 1
    store = CXIStore(names)
    store["data"]
    opened.clear()
    store["data"]._repr_html_()
    assert len(opened) <= 1


def test_data_of_another_type_than_the_protocols_are_shown_as_floats(tmp_path):
    name = write(tmp_path / "f.cxi", np.random.default_rng(1).random((2, 9, 9)))
    page = CXIStore(name)._repr_html_()
    assert "say dtype=" in page
    assert picture_in(page).shape == (9, 9)


def test_a_static_mask_a_virtual_dataset_and_modules_have_one(tmp_path, frames):
    name = write(tmp_path / "source.cxi", frames, chunks=(1, 300, 200), compression="gzip")
    layout = h5py.VirtualLayout((5, 300, 200), "u2")
    layout[:] = h5py.VirtualSource(name, DATA, (5, 300, 200))
    with h5py.File(tmp_path / "virtual.cxi", "w") as h5:
        h5.create_virtual_dataset(DATA, layout)
        h5["/entry_1/instrument_1/detector_1/mask"] = np.zeros((300, 200), np.uint32)
    store = CXIStore(str(tmp_path / "virtual.cxi"))
    assert picture_in(store._repr_html_()).shape == (100, 67)
    assert "yellow is good" in store["mask"]._repr_html_()
    many = write(tmp_path / "modules.cxi", frames[:, None].repeat(3, axis=1))
    assert "the first of 3 images" in CXIStore(many)._repr_html_()
