"""Where the default protocol looks first among CXI paths, and values that tell pixels apart."""

import h5py
import numpy as np

DETECTOR = "/entry_1/instrument_1/detector_1"
DATA = f"{DETECTOR}/data"
MASK = f"{DETECTOR}/mask"
BASIS = f"{DETECTOR}/basis_vectors"
DISTANCE = f"{DETECTOR}/distance"
WAVELENGTH = "/entry_1/instrument_1/source_1/wavelength"
TRANSLATIONS = "/entry_1/sample_1/geometry/translations"
WHITEFIELD = "/speckle_tracking/whitefield"


def frames(count, shape=(5, 7), dtype="uint16", start=0):
    """Return frames of which no two pixels are alike, as far as the type has room for that."""
    size = count * int(np.prod(shape))
    values = np.arange(start, start + size)
    dtype = np.dtype(dtype)
    if dtype.kind == "b":
        values = values % 3 > 0
    elif dtype.itemsize == 1:
        values = values % 120
    return values.reshape(count, *shape).astype(dtype)


def good_mask(shape, bad=()):
    """Return a mask that is True but for the pixels `bad`."""
    mask = np.ones(shape, bool)
    for pixel in bad:
        mask[pixel] = False
    return mask


def attributes(count, shape=(5, 7)):
    """Return one attribute of each kind but `data`, by path, for a file of `count` frames."""
    return {
        MASK: good_mask((count, *shape), [(0, 1, 1)] if count else []),
        BASIS: np.arange(6.0 * count).reshape(count, 2, 3),
        TRANSLATIONS: np.arange(3.0 * count).reshape(count, 3),
        WHITEFIELD: np.linspace(0, 1, int(np.prod(shape))).reshape(shape),
        DISTANCE: 0.5,
        WAVELENGTH: np.array([7.3e-11]),
    }


def put(path, values, mode="a", **options):
    """Write values, by their paths, to a file; options are those of `create_dataset`."""
    with h5py.File(path, mode) as h5:
        for name, value in values.items():
            h5.create_dataset(name, data=value, **options)
    return str(path)
