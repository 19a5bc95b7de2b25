"""A script as its users write it for pyrost; the test that runs it changes the import line only.

Usage: python pyrost_script.py RAW... RESULTS
"""

import sys
from pathlib import Path

import numpy as np
import pyrost as rst

*RAW, RESULTS = sys.argv[1:]
ROI = (1, 9, 2, 12)
GOOD = np.arange(1, 6)


def main():
    # a protocol of one's own, in an INI file as pyrost writes it
    protocol = rst.CXIProtocol.import_default()
    ini = Path(RESULTS).with_suffix(".ini")
    protocol.to_ini(ini)
    assert rst.CXIProtocol.import_ini(ini).get_load_paths("data") == protocol.get_load_paths("data")
    protocol = protocol.add_attribute("exposure", "float", ["/entry_1/exposure"], "sequence")
    assert protocol.get_kind("exposure") == "sequence"
    assert protocol.get_ndim("data") == 3 or 3 in protocol.get_ndim("data")
    ini.write_text(
        "[datatypes]\ndata = uint\nmask = bool\n\n"
        "[load_paths]\n"
        "data = ['/entry/data/data', '/entry_1/instrument_1/detector_1/data']\n"
        "mask = ['/entry_1/instrument_1/detector_1/mask']\n\n"
        "[kinds]\ndata = stack\nmask = stack\n"
    )
    own = rst.CXIProtocol.import_ini(str(ini))

    # files are opened by `with`, or by hand
    inp_file = rst.CXIStore(RAW, protocol=own)
    with inp_file:
        assert list(inp_file.keys()) == ["data", "mask"]
        assert len(inp_file) == 2
        assert "data" in inp_file
        n_frames = inp_file.indices().size
        shape = inp_file.read_shape()
        first = inp_file.files()[0]
        assert first[inp_file.find_dataset("data")].shape[1:] == shape
        assert inp_file.file.filename == inp_file.filenames()[0]
    assert not inp_file

    # index arrays of a transform choose pixels
    transform = rst.ComposeTransforms([rst.Crop(ROI), rst.Mirror(axis=0, shape=(8, 10))])
    ss_idxs, fs_idxs = transform.index_array(*np.indices(shape))
    inp_file = rst.CXIStore(RAW)
    with inp_file:
        whole = inp_file.load_attribute("data", processes=2, verbose=False)
        part = inp_file.load_attribute(
            "data", idxs=GOOD, ss_idxs=ss_idxs, fs_idxs=fs_idxs, processes=2, verbose=False
        )
        one = inp_file.load_attribute("data", 3, 1, slice(1, 5), slice(None, None, 2), False)
        distance = inp_file.load_attribute("distance")
    assert len(whole) == n_frames
    assert np.array_equal(part, whole[GOOD][:, 1:9, 2:12][:, ::-1])
    assert np.array_equal(part, transform.forward(whole[GOOD]))
    assert np.array_equal(one, whole[[3], 1:5, ::2])
    x, y = transform.forward_points(2, 8)
    assert (x, y) == (0, 0)
    try:
        inp_file.load_attribute("data")
    except RuntimeError:
        pass
    else:
        raise AssertionError("a closed store loads")

    # the container
    data = rst.STData(inp_file, transform=transform, distance=distance)
    assert data.data is None
    data = data.load(idxs=GOOD, processes=2, verbose=False)
    assert data.shape == (5, 8, 10)
    assert np.array_equal(data.data, part)
    assert np.array_equal(data.frames, GOOD)
    assert set(data.contents()) >= {"input_file", "transform", "data", "mask", "translations"}
    assert data["mask"].shape == data.get("data").shape
    data = data.replace(whitefield=np.median(data.data, axis=0))
    data = data.mask_frames(np.arange(4))

    # results
    out_file = rst.CXIStore(RESULTS, mode="a")
    data = data.update_output_file(output_file=out_file)
    data.save(["data", "whitefield", "translations"], mode="overwrite")
    data.mask_frames([4]).save(["data", "translations"], mode="append")
    data.mask_frames([0]).save("data", mode="insert", idxs=[4])
    with out_file:
        out_file.save_attribute("distance", 2 * distance)
        saved = out_file.load_attribute("data", verbose=False)
        assert np.array_equal(saved[:4], part[:4])
        assert np.array_equal(saved[4], part[0])
        assert out_file.load_attribute("distance") == 2 * distance
        assert len(out_file.load_attribute("translations")) == 5
    try:
        with rst.CXIStore(RESULTS, mode="r") as read_only:
            read_only.save_attribute("distance", 1.0)
    except ValueError:
        pass
    else:
        raise AssertionError("a file opened for reading was written")
    assert data.clear(["data"]).data is None
    assert data.update_transform(rst.Downscale(2)).data is None
    assert data.integrate_data(axis=0).data.shape == (5, 1, 10)


if __name__ == "__main__":
    main()
