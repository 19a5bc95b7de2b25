"""A check finds all that is wrong with a run, names it, and goes on."""

import itertools
import math
from pathlib import Path

import h5py
import hdf5plugin
import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from cxistack import AttributeMissingError, CXIProtocol, CXIStore
from cxistack.checking import decoding
from factory import (
    DATA,
    MASK,
    absent_source,
    absent_source_printf,
    dangling_link,
    external_raw,
    frames,
    link_loop,
    not_hdf5,
    put,
)
from factory.beamlines import FAULTY, LAYOUTS

DISTANCE = "/entry_1/instrument_1/detector_1/distance"
WAVELENGTH = "/entry_1/instrument_1/source_1/wavelength"


def check(*files, attributes=None, protocol=None):
    return CXIStore([str(file) for file in files], protocol=protocol).check(
        attributes, verbose=False
    )


def damage(file, path, corners):
    """Flip a bit in the middle of each of the chunks that begin at `corners`."""
    with h5py.File(file) as h5:
        dataset = h5[path].id
        chunks = [dataset.get_chunk_info(k) for k in range(dataset.get_num_chunks())]
    content = bytearray(Path(file).read_bytes())
    for chunk in chunks:
        if chunk.chunk_offset in corners:
            content[chunk.byte_offset + chunk.size // 2] ^= 16
    Path(file).write_bytes(content)


def write(file, shape, chunks, path=DATA, **options):
    values = np.random.default_rng(7).integers(0, 1000, shape).astype("uint16")
    with h5py.File(file, "a") as h5:
        h5.create_dataset(path, data=values, chunks=chunks, **options)
    return file


def corners(shape, chunks):
    spans = [range(0, n, c) for n, c in zip(shape, chunks, strict=True)]
    return list(itertools.product(*spans))


class TestARunThatIsWhole:
    @pytest.mark.parametrize(
        "name",
        [
            "p25_near_field_ptycho.cxi",
            "eiger_bitshuffle_frame.h5",
            "libcxi_typical_raw.cxi",
            "cxidb_minimal.cxi",
        ],
    )
    def test_real_files_are_whole(self, shared_data, name):
        assert check(shared_data / name) == []

    @pytest.mark.parametrize("layout", list(LAYOUTS))
    def test_so_are_those_of_beamlines(self, tmp_path, layout):
        run = LAYOUTS[layout](tmp_path)
        protocol = CXIProtocol.discover([str(file) for file in run.files])
        assert check(*run.files, attributes=["data"], protocol=protocol) == []

    def test_files_without_a_frame_are(self, tmp_path):
        assert (
            check(put(tmp_path / "a.cxi", {DATA: np.zeros((0, 3, 4), "u2"), DISTANCE: 1.0})) == []
        )


class TestDamagedChunks:
    @given(st.data())
    def test_each_is_found_and_no_other(self, tmp_path_factory, data):
        file = tmp_path_factory.mktemp("damaged") / "a.cxi"
        shape = data.draw(st.tuples(*[st.integers(1, 9)] * 3))
        chunks = tuple(data.draw(st.integers(1, n)) for n in shape)
        every = corners(shape, chunks)
        bad = data.draw(st.sets(st.sampled_from(every), max_size=4))
        write(file, shape, chunks, fletcher32=True)
        damage(file, DATA, bad)
        found = check(file)
        assert {one.chunk for one in found} == bad
        assert len(found) == len(bad)
        for one in found:
            assert one.frames == (one.chunk[0], min(one.chunk[0] + chunks[0], shape[0]) - 1)
            assert (one.filename, one.dataset, one.check) == (str(file), DATA, "decodes")

    @pytest.mark.parametrize("block", [1, 700, 5000])
    def test_they_are_found_in_blocks_of_any_size(self, tmp_path, monkeypatch, block):
        monkeypatch.setattr(decoding, "_BLOCK_BYTES", block)
        bad = {(0, 4, 8), (4, 8, 0), (10, 0, 8)}
        file = write(tmp_path / "a.cxi", (11, 9, 10), (2, 4, 8), fletcher32=True)
        damage(file, DATA, bad)
        assert {one.chunk for one in check(file)} == bad

    @pytest.mark.parametrize(
        "options",
        [
            hdf5plugin.Bitshuffle(nelems=0, cname="lz4"),
            {"compression": "gzip", "shuffle": True},
            hdf5plugin.LZ4(),
            hdf5plugin.Blosc2(),
        ],
        ids=["bitshuffle", "gzip", "lz4", "blosc2"],
    )
    def test_a_chunk_whose_bytes_are_gone_is_found_whatever_the_filter(self, tmp_path, options):
        file = write(tmp_path / "a.cxi", (5, 40, 50), (1, 40, 50), **options)
        with h5py.File(file) as h5:
            chunk = h5[DATA].id.get_chunk_info(3)
        content = bytearray(file.read_bytes())
        content[chunk.byte_offset : chunk.byte_offset + chunk.size] = (
            bytes(range(7, 256, 2)) * 99999
        )
        content = (
            content[: chunk.byte_offset + chunk.size]
            + file.read_bytes()[chunk.byte_offset + chunk.size :]
        )
        file.write_bytes(content)
        (found,) = check(file)
        assert (found.frames, found.chunk) == ((3, 3), (3, 0, 0))

    def test_frames_are_numbered_through_all_files(self, tmp_path):
        files = [
            write(tmp_path / f"{n}.cxi", (4, 8, 8), (2, 8, 8), fletcher32=True) for n in (1, 2)
        ]
        damage(files[1], DATA, {(2, 0, 0)})
        (found,) = check(*files)
        assert (found.filename, found.frames, found.rows) == (str(files[1]), (6, 7), (2, 3))
        assert "frames 6 to 7" in str(found)

    def test_a_static_mask_is_checked_too_and_once(self, tmp_path):
        file = write(tmp_path / "a.cxi", (4, 8, 8), (1, 8, 8))
        write(file, (8, 8), (4, 4), path=MASK, fletcher32=True)
        damage(file, MASK, {(4, 0), (0, 4)})
        assert {(one.attribute, one.dataset) for one in check(file)} == {("mask", MASK)}
        assert check(file, attributes=["data"]) == []

    def test_a_mask_that_stands_for_many_files_is_decoded_once(self, tmp_path, monkeypatch):
        files = [put(tmp_path / f"{n}.cxi", {DATA: frames(2)}) for n in (1, 2, 3)]
        mask = put(tmp_path / "mask.cxi", {MASK: np.zeros((5, 7), "u4")})
        read, done = decoding._read, []

        def counted(catalogue, part, box, threads):
            done.append(part.stored.place.filename)
            read(catalogue, part, box, threads)

        monkeypatch.setattr(decoding, "_read", counted)
        assert check(*files, mask) == []
        assert sorted(done) == sorted([*files, mask])

    def test_rows_that_a_virtual_dataset_begins_with_inside_a_chunk(self, tmp_path):
        write(tmp_path / "raw.h5", (16, 5, 7), (8, 5, 7), path="/frames", fletcher32=True)
        damage(tmp_path / "raw.h5", "/frames", {(0, 0, 0)})
        layout = h5py.VirtualLayout((12, 5, 7), "uint16")
        layout[:3] = h5py.VirtualSource(put(tmp_path / "b.h5", {"/x": frames(3)}), "/x", (3, 5, 7))
        layout[3:] = h5py.VirtualSource("raw.h5", "/frames", (16, 5, 7))[7:16]
        with h5py.File(tmp_path / "virtual.cxi", "w", libver="latest") as h5:
            h5.create_virtual_dataset(DATA, layout)
        (found,) = check(tmp_path / "virtual.cxi")
        assert (found.dataset, found.chunk) == ("/frames", (0, 0, 0))
        assert (found.rows, found.frames) == ((7, 7), (3, 3))

    def test_sequences_and_scalars_are_checked(self, tmp_path):
        translations = "/speckle_tracking/translations"
        file = write(tmp_path / "a.cxi", (4, 8, 8), (1, 8, 8))
        write(file, (4, 3), (2, 3), path=translations, fletcher32=True)
        damage(file, translations, {(2, 0)})
        (found,) = check(file)
        assert (found.dataset, found.rows) == (translations, (2, 3))

    def test_each_chunk_is_decoded_once_where_all_is_well(self, tmp_path, monkeypatch):
        file = write(tmp_path / "a.cxi", (9, 8, 10), (2, 3, 4), compression="gzip")
        monkeypatch.setattr(decoding, "_BLOCK_BYTES", 200)
        read, done = decoding._read, []
        monkeypatch.setattr(
            decoding, "_read", lambda c, part, box, n: (done.append(box), read(c, part, box, n))
        )
        assert check(file) == []
        assert sum(math.prod(map(len, box)) for box in done) == 9 * 8 * 10
        for box in done:
            for axis, unit, length in zip(box, (2, 3, 4), (9, 8, 10), strict=True):
                assert axis.start % unit == 0
                assert axis.stop % unit == 0 or axis.stop == length

    def test_the_lost_end_of_a_file_is_one_finding(self, tmp_path):
        file = put(tmp_path / "a.cxi", {DATA: frames(50, (10, 10))})
        with h5py.File(file) as h5:
            offset = h5[DATA].id.get_offset()
        protocol = CXIProtocol.import_default()
        store = CXIStore(file, protocol=protocol)
        assert store.check(verbose=False) == []
        with Path(file).open("r+b") as raw:
            raw.truncate(offset + 30 * 200)
        (found,) = check(file)
        assert "truncated" in found.cause
        (found,) = check(file, attributes=["data"])
        assert "truncated" in found.cause


class TestPiecesOfOtherDatasets:
    def test_a_module_is_named_where_it_lies(self, tmp_path):
        run = LAYOUTS["agipd_corrected"](tmp_path)
        path = "/INSTRUMENT/SPB_DET_AGIPD1M-1/DET/7CH0:xtdf/image/mask"
        with h5py.File(run.files[7]) as h5:
            chunk = h5[path].id.get_chunk_info(4)
        with run.files[7].open("r+b") as raw:
            raw.seek(chunk.byte_offset)
            raw.write(bytes(chunk.size))
        protocol = CXIProtocol.discover([str(file) for file in run.files])
        (found,) = check(*run.files, protocol=protocol)
        assert (found.attribute, found.filename) == ("mask", str(run.files[7]))
        assert (found.dataset, found.rows, found.chunk) == (path, (4, 4), (4, 0, 0))

    def test_a_source_of_a_virtual_dataset_too_and_each_once(self, tmp_path):
        write(tmp_path / "raw.h5", (6, 8, 8), (2, 8, 8), path="/frames", fletcher32=True)
        damage(tmp_path / "raw.h5", "/frames", {(2, 0, 0)})
        layout = h5py.VirtualLayout((6, 2, 8, 4), "uint16")
        source = h5py.VirtualSource("raw.h5", "/frames", (6, 8, 8))
        layout[:, 0], layout[:, 1] = source[:, :, :4], source[:, :, 4:]
        with h5py.File(tmp_path / "virtual.cxi", "w", libver="latest") as h5:
            h5.create_virtual_dataset(DATA, layout)
        (found,) = check(tmp_path / "virtual.cxi")
        assert (found.filename, found.rows) == (str(tmp_path / "raw.h5"), (2, 3))


class TestWhatIsNotThere:
    @pytest.mark.parametrize(
        "make",
        [absent_source, absent_source_printf, external_raw],
    )
    def test_sources_that_are_gone(self, tmp_path, make):
        (found,) = check(make(tmp_path))
        assert (found.check, found.attribute) == ("there", "data")
        assert "source" in found.cause or "external" in found.cause

    @pytest.mark.parametrize("link", ["file", "path", "soft"])
    def test_links_that_dangle(self, tmp_path, link):
        (found,) = check(dangling_link(tmp_path, link))
        assert "gone" in found.cause

    @pytest.mark.parametrize("link", ["soft", "external"])
    def test_links_in_a_circle(self, tmp_path, link):
        (found,) = check(link_loop(tmp_path, link))
        assert "circle" in found.cause

    def test_a_file_that_is_none_beside_a_damaged_one(self, tmp_path):
        good = write(tmp_path / "a.cxi", (4, 8, 8), (1, 8, 8), fletcher32=True)
        damage(good, DATA, {(1, 0, 0), (3, 0, 0)})
        found = check(good, not_hdf5(tmp_path))
        assert [one.check for one in found] == ["there", "decodes", "decodes"]

    def test_an_attribute_that_was_asked_for(self, tmp_path):
        file = put(tmp_path / "a.cxi", {DATA: frames(3)})
        (found,) = check(file, attributes=["data", "mask"])
        assert found.attribute == "mask"
        with pytest.raises(AttributeMissingError, match="nonsense"):
            check(file, attributes=["nonsense"])

    def test_a_file_with_nothing_in_it(self, tmp_path):
        files = [put(tmp_path / "a.cxi", {DATA: frames(3)}), put(tmp_path / "b.cxi", {"/x": 1})]
        (found,) = check(*files)
        assert found.filename == files[1]
        (found,) = check(files[1])
        assert "discover" in found.cause

    @pytest.mark.parametrize("fault", list(FAULTY))
    def test_what_is_wrong_with_a_run_is_found_and_named(self, tmp_path, fault):
        run = FAULTY[fault](tmp_path)
        protocol = CXIProtocol.discover([str(file) for file in run.files])
        assert any(at in str(one) for one in check(*run.files, protocol=protocol) for at in run.at)


class TestWhatDoesNotAgree:
    def two(self, tmp_path, one, other):
        return check(put(tmp_path / "1.cxi", one), put(tmp_path / "2.cxi", other))

    def test_frames_of_other_shapes(self, tmp_path):
        (found,) = self.two(tmp_path, {DATA: frames(3)}, {DATA: frames(3, (4, 4))})
        assert "differ in shape" in found.cause

    def test_types(self, tmp_path):
        (found,) = self.two(tmp_path, {DATA: frames(3)}, {DATA: frames(3).astype("u4")})
        assert (found.check, found.filename) == ("agrees", str(tmp_path / "2.cxi"))
        assert "uint32" in found.cause
        assert "uint16" in found.cause

    def test_numbers_of_frames(self, tmp_path):
        (found,) = check(
            put(
                tmp_path / "1.cxi",
                {DATA: frames(3), "/speckle_tracking/translations": np.zeros((4, 3))},
            )
        )
        assert found.attribute == "translations"

    def test_scalars(self, tmp_path):
        (found,) = self.two(
            tmp_path, {DATA: frames(3), DISTANCE: 1.5}, {DATA: frames(3), DISTANCE: 1.7}
        )
        assert "1.7" in found.cause

    def test_all_of_it_at_once_and_the_rest_is_still_decoded(self, tmp_path):
        one = write(tmp_path / "1.cxi", (4, 5, 7), (1, 5, 7), fletcher32=True)
        put(one, {DISTANCE: 1.5, WAVELENGTH: 1e-10}, "a")
        damage(one, DATA, {(2, 0, 0)})
        two = put(tmp_path / "2.cxi", {DATA: frames(3, (4, 4)), DISTANCE: 1.7, WAVELENGTH: 2e-10})
        found = check(one, two)
        assert sorted((one.check, one.attribute) for one in found) == [
            ("agrees", "distance"),
            ("agrees", "wavelength"),
            ("decodes", "data"),
            ("there", "data"),
        ]


def test_a_finding_is_one_line_and_goes_into_json(tmp_path):
    file = write(tmp_path / "a.cxi", (4, 8, 8), (1, 8, 8), fletcher32=True)
    damage(file, DATA, {(1, 0, 0)})
    (found,) = check(file)
    assert "\n" not in str(found)
    assert str(found).startswith(f"{file}:{DATA}, frame 1, chunk at (1, 0, 0): data: ")
    assert found.as_dict()["chunk"] == [1, 0, 0]
    assert found.as_dict()["frames"] == [1, 1]
