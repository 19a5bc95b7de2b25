"""A load takes its result, 64 MiB, and of each thread the chunk that it works on; no more."""

import h5py
import hdf5plugin
import numpy as np
import pytest

from factory.children import ends_well

MIB = 1 << 20
BITSHUFFLE = {**hdf5plugin.Bitshuffle(nelems=0, cname="lz4")}
FRAME = (1500, 2000)  # 5.7 MiB as uint16

CASES = {
    # name: shape, chunks, options, arguments of the load
    "whole frames, no filter": ((18, *FRAME), (1, *FRAME), {}, {}),
    "whole frames, contiguous": ((18, *FRAME), None, {}, {}),
    "whole frames, gzip": ((18, *FRAME), (1, *FRAME), {"compression": "gzip"}, {}),
    "whole frames, bitshuffle": ((18, *FRAME), (1, *FRAME), BITSHUFFLE, {}),
    "as float32": ((18, *FRAME), (1, *FRAME), BITSHUFFLE, {"dtype": "float32"}),
    "a region": (
        (18, *FRAME),
        (1, *FRAME),
        {"compression": "gzip"},
        {"ss_idxs": slice(9), "fs_idxs": slice(9)},
    ),
    "bins": ((18, *FRAME), (1, *FRAME), BITSHUFFLE, {"transform": "Downscale(4, mode='sum')"}),
    "picked pixels": ((18, *FRAME), (1, *FRAME), BITSHUFFLE, {"ss_idxs": [4, 900, 3]}),
    "lzf": ((18, *FRAME), (1, *FRAME), {"compression": "lzf"}, {}),
    "many frames a chunk": ((64, 500, 500), (16, 500, 500), {}, {}),
    "far frames of a chunk": (
        (64, 500, 500),
        (32, 500, 500),
        {},
        {"idxs": [0, 31, 32, 63], "ss_idxs": slice(2)},
    ),
    "small chunks": ((2, 1024, 1024), (2, 4, 4), {"compression": "gzip"}, {}),
    "small planes": ((100, 20000, 2, 2), None, {}, {}),
    "many small frames": ((400000, 2, 3), (1000, 2, 3), {}, {}),
    "missing chunks": ((18, *FRAME), (1, *FRAME), {"compression": "gzip", "fillvalue": 3}, {}),
    "mirrored out": ((18, *FRAME), (1, *FRAME), BITSHUFFLE, {"out": "mirrored"}),
}


@pytest.mark.parametrize("case", CASES)
def test_peak(tmp_path, case):
    shape, chunks, options, arguments = CASES[case]
    with h5py.File(tmp_path / "a.h5", "w") as h5:
        if case == "small chunks":
            options = options | {"fillvalue": 0}
        data = h5.create_dataset("/frames", shape, "uint16", chunks=chunks, **options)
        if case == "missing chunks":
            data[3] = 1
        else:
            data[...] = np.arange(np.prod(shape), dtype="uint16").reshape(shape) % 50
        stored = data.id.get_chunk_info(0).size if chunks else 0
    decoded = 2 * int(np.prod(chunks or 0))
    threads = 2
    given = ", ".join(
        f"{key}={value}" if key == "transform" else f"{key}={value!r}"
        for key, value in arguments.items()
        if key != "out"
    )
    out = "np.zeros(store['data'].shape, 'uint16')[:, ::-1]" if "out" in arguments else "None"
    code = f"""
        def high():
            text = open("/proc/self/status").read()
            return int(text.split("VmHWM:")[1].split()[0]) * 1024
        with opened({str(tmp_path / "a.h5")!r}) as store:
            store.load_attribute("data", [0], fs_idxs=slice(1), ss_idxs=slice(1), verbose=False)
            before = high()
            got = store.load_attribute(
                "data", verbose=False, num_threads={threads}, out={out}, {given}
            )
            print(high() - before, got.nbytes)
        """
    (line,) = ends_well(code)
    taken, result = map(int, line.split())
    limit = result + 64 * MIB + threads * (stored + decoded)
    assert taken <= limit, f"{taken / MIB:.0f} MiB taken, {limit / MIB:.0f} allowed"
