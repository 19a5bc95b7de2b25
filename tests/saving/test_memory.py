"""Where there is no memory for a save, the error says for what: file, dataset and bytes."""

from pathlib import Path

import pytest

from cxistack import CXIStore, STData, convert
from factory import DATA, frames, put

SAID = (
    r"'data' of shape \({}, 5, 7\) as uint16 takes {} bytes, and this machine does not give the "
    r"memory to save it \(12 bytes for this\); save fewer frames at a time, by writer\(\) or mode="
)


def nothing(*_, **__):
    raise MemoryError("12 bytes for this")


@pytest.fixture
def name(tmp_path):
    return put(tmp_path / "run.cxi", {DATA: frames(4)})


@pytest.mark.parametrize("safe", [True, False])
@pytest.mark.parametrize(
    "where",
    [
        "saving.save.in_saved_unit",
        "saving.save.write",
        "saving.dataset.write_rows",
        "saving.chunks.EncodeJob",
    ],
)
def test_of_an_attribute(name, monkeypatch, where, safe):
    before = Path(name).read_bytes()
    store = CXIStore(name, "r+", safe=safe)
    with monkeypatch.context() as patch:
        patch.setattr(f"cxistack.{where}", nothing)
        with pytest.raises(MemoryError, match=rf"{name}:{DATA}: " + SAID.format(9, 630)):
            store.save_attribute("data", frames(9), compression="bitshuffle", chunks=(1, 5, 7))
    assert not safe or Path(name).read_bytes() == before
    store.save_attribute("distance", 1.0)


def test_of_a_container(name, tmp_path, monkeypatch):
    st = STData(CXIStore(name), output_file=CXIStore(tmp_path / "new.cxi", "w"))
    st = st.load("data", verbose=False).mask_frames([1, 2])
    where = rf"{tmp_path}/new\.cxi:/entry/data/data: "
    with monkeypatch.context() as patch:
        patch.setattr("cxistack.container.outgoing._good", nothing)
        with pytest.raises(MemoryError, match=where + SAID.format(4, 280)):
            st.save("data")
    with monkeypatch.context() as patch:
        patch.setattr("cxistack.saving.save.write", nothing)
        with pytest.raises(MemoryError, match=where + SAID.format(2, 140)):
            st.save("data")
    assert not (tmp_path / "new.cxi").exists()


@pytest.mark.parametrize(
    ("place", "count"),
    [("store.writer.FrameBuffer", None), ("store.writer.np.copyto", 2), ("saving.save.write", 2)],
)
def test_of_a_writer(name, monkeypatch, place, count):
    """The buffer holds a chunk; no frames are saved first."""
    said = SAID.format(rf"(?:{count or 936}|0)", r"\d+")
    store = CXIStore(name, "r+")
    monkeypatch.setattr(f"cxistack.{place}", nothing)
    with (
        pytest.raises(MemoryError, match=rf"{name}:{DATA}: {said}"),
        store.writer("data") as writer,
    ):
        writer.append(frames(2))


def test_of_a_writer_that_had_some(name, monkeypatch):
    store = CXIStore(name, "r+")

    def appends():
        with store.writer("data") as writer:
            writer.append(frames(2))
            monkeypatch.setattr("cxistack.saving.save.write", nothing)

    with pytest.raises(MemoryError, match=rf"{name}:{DATA}: {SAID.format(2, 140)}"):
        appends()


def test_of_a_conversion(name, tmp_path, monkeypatch):
    target = CXIStore(tmp_path / "new.cxi", "w")
    monkeypatch.setattr("cxistack.converting.carrier.np.empty", nothing)
    with pytest.raises(
        MemoryError, match=r"new\.cxi:/entry/data/data: 'data' of shape \(\d+, 5, 7\)"
    ):
        convert(CXIStore(name), target, verbose=False)
    assert not (tmp_path / "new.cxi").exists()
