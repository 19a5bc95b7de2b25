"""A speckle-tracking run as an experiment would write it: simulated, and the same every time.

A multilayer Laue lens focuses X-rays of 17.4 keV; a phase object stands a little behind the focus
and is moved from frame to frame; the detector, far behind, sees its near-field speckle magnified
inside the projected rectangle of the lens.

By the Fresnel scaling theorem (D. Paganin, Coherent X-Ray Optics, Oxford 2006) a frame is the beam
without the object times the object's hologram in a parallel beam at the distance
``z z_1 / (z + z_1)``, magnified by ``(z + z_1) / z_1``: `z_1` from the focus to the object, `z`
from there to the detector.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
from numpy.typing import NDArray

from ..protocol.protocol import CXIProtocol
from ..store.store import CXIStore

__all__ = ["BEAM", "FILES", "SHAPE", "write_run"]

FILES = 4
SHAPE = (516, 772)  # two by three chips of 256 x 256 pixels of 55 um
BEAM = (70, 446, 110, 670)  # rows and columns that the lens lights up
_GAP = 4  # pixels between chips
_PIXEL = 55e-6  # m
_DISTANCE = 1.5  # m, from the object to the detector
_DEFOCUS = 1.2e-4  # m, from the focus to the object
_WAVELENGTH = 7.126e-11  # m
_COUNTS = 90.0  # photons in a pixel of the beam
_BACKGROUND = 0.4
_SEED = 1726
# CXI 1.6, "Data quality": what the bits of a mask say of a pixel.
_HOT, _DEAD, _MISSING = 0x4, 0x8, 0x200


def write_run(folder: Path, frames: int) -> Iterator[Path]:
    """Write the run's files, ``run_1.cxi`` and so on, and yield each when it is written.

    Parameters
    ----------
    folder : Path
        Where they go; files of these names are replaced.
    frames : int
        How many frames they hold together, at least one each.
    """
    rng = np.random.default_rng(_SEED)
    pixel = _PIXEL * _DEFOCUS / (_DISTANCE + _DEFOCUS)  # of the detector, seen at the object
    steps = _scan(frames, rng)
    margin = int(np.abs(steps).max()) + 12
    hologram = _hologram((SHAPE[0] + 2 * margin, SHAPE[1] + 2 * margin), pixel, rng)
    beam = _beam()
    flags = _flags(rng)
    for number, rows in enumerate(np.array_split(np.arange(frames), FILES), 1):
        stack = np.empty((len(rows), *SHAPE), np.uint16)
        for k, row in enumerate(rows):
            rate = beam * _moved(hologram, margin, steps[row]) + _BACKGROUND
            stack[k] = rng.poisson(rate)
        stack[:, flags & _HOT > 0] = rng.integers(20_000, 60_000, np.count_nonzero(flags & _HOT))
        stack[:, flags & (_DEAD | _MISSING) > 0] = 0
        path = folder / f"run_{number}.cxi"
        _write(path, stack, flags, steps[rows] * pixel)
        yield path


def _scan(frames: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return where the object is in each frame, in pixels: a raster, as motors really reach it."""
    columns = int(np.ceil(np.sqrt(frames)))
    raster = np.stack(np.divmod(np.arange(frames), columns), axis=1) - (columns - 1) / 2
    return np.asarray(raster * 11.0 + rng.uniform(-3.0, 3.0, raster.shape))


def _hologram(
    shape: tuple[int, int], pixel: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return the intensity behind a random phase object, in a beam of 1."""
    ss, fs = np.fft.fftfreq(shape[0])[:, None], np.fft.fftfreq(shape[1])[None, :]
    squared = ss**2 + fs**2  # cycles per pixel
    noise = np.fft.fft2(rng.standard_normal(shape))
    grain = 6.0  # pixels: grains of the object, the speckle's size
    phase = np.fft.ifft2(noise * np.exp(-2 * (np.pi * grain * 0.5) ** 2 * squared)).real
    wave = np.exp(0.22j * phase / phase.std())
    z = _DISTANCE * _DEFOCUS / (_DISTANCE + _DEFOCUS)
    chirp = np.exp(-1j * np.pi * _WAVELENGTH * z * squared / pixel**2)
    return np.abs(np.fft.ifft2(np.fft.fft2(wave) * chirp)) ** 2


def _moved(
    image: NDArray[np.float64], margin: int, step: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the part of an image that lies on the detector when it has moved by `step` pixels."""
    top, left = np.floor(margin - step).astype(int)
    down, right = (margin - step) % 1
    window = image[top : top + SHAPE[0] + 1, left : left + SHAPE[1] + 1]
    rows = (1 - down) * window[:-1] + down * window[1:]
    return np.asarray((1 - right) * rows[:, :-1] + right * rows[:, 1:])


def _beam() -> NDArray[np.float64]:
    """Return the counts of the lens's projected aperture without an object.

    Two crossed lenses: the intensity is a product of profiles along either axis, with the stripes
    of layers that diffract better or worse, soft at the edges.
    """
    top, bottom, left, right = BEAM

    def profile(size: int, low: int, high: int, stripes: tuple[float, ...]) -> NDArray[np.float64]:
        x = np.arange(size)
        u = (x - low) / (high - low)
        edges = 1 / (1 + np.exp(-(x - low) / 1.6)) / (1 + np.exp((x - high) / 1.6))
        layers = 1 + sum(
            0.13 / (k + 1) * np.sin(2 * np.pi * (f * u + 0.31 * k)) for k, f in enumerate(stripes)
        )
        return np.asarray(edges * layers * (1.12 - 0.45 * (u - 0.42) ** 2))

    ss = profile(SHAPE[0], top, bottom, (2.3, 5.9, 13.0))
    fs = profile(SHAPE[1], left, right, (1.7, 7.1, 17.0, 29.0))
    return _COUNTS * np.outer(ss, fs)


def _flags(rng: np.random.Generator) -> NDArray[np.uint32]:
    """Return the detector's mask: gaps between chips, a dead row of one chip, hot pixels."""
    flags = np.zeros(SHAPE, np.uint32)
    flags[rng.integers(0, SHAPE[0], 40), rng.integers(0, SHAPE[1], 40)] = _HOT
    flags[356, :256] = _DEAD
    flags[256 : 256 + _GAP] = _MISSING
    for left in (256, 512 + _GAP):
        flags[:, left : left + _GAP] = _MISSING
    return flags


def _write(
    path: Path,
    stack: NDArray[np.uint16],
    flags: NDArray[np.uint32],
    steps: NDArray[np.float64],
) -> None:
    """Write one file in the layout of CXI 1.6; `steps` (slow, fast) are in metres."""
    translations = np.zeros((len(steps), 3))
    translations[:, :2] = steps[:, ::-1]  # x is the fast axis
    axes = np.broadcast_to([[0.0, -_PIXEL, 0.0], [-_PIXEL, 0.0, 0.0]], (len(steps), 2, 3))
    # The default protocol looks for translations there, and a link makes them CXI's.
    protocol = CXIProtocol.import_named("cxi").add_attribute(
        "translations", "float", "/entry_1/sample_1/geometry/translations", "sequence", unit="m"
    )
    values: dict[str, npt.ArrayLike] = {
        "basis_vectors": axes,
        "translations": translations,
        "distance": _DISTANCE,
        "x_pixel_size": _PIXEL,
        "y_pixel_size": _PIXEL,
        "wavelength": _WAVELENGTH,
    }
    with CXIStore(path, "w", protocol=protocol) as store, store.transaction():
        store.save_attribute("data", stack, chunks=(1, *SHAPE))
        store.save_attribute("mask", flags, chunks=SHAPE, compression="deflate", raw=True)
        for attr, value in values.items():
            store.save_attribute(attr, value)
