"""Shapes that do not fit the kind of an attribute, each other, or other files."""

import h5py
import numpy as np

from cxistack import LayoutError

from ..values import DATA, DETECTOR, DISTANCE, MASK, TRANSLATIONS, WHITEFIELD, frames, put
from .row import faulty, run

PIXEL = f"{DETECTOR}/x_pixel_size"


@faulty(
    LayoutError,
    r"has shape \(1, 1, 1\); 'x_pixel_size' is a scalar, of 0 to 2 axes",
    attr="x_pixel_size",
    path=PIXEL,
)
def scalar_of_three_axes(folder):
    """A scalar with a shape of three axes."""
    return run(folder, {PIXEL: np.ones((1, 1, 1))})


@faulty(
    LayoutError,
    r"has shape \(\); 'translations' is a sequence, of 1",
    attr="translations",
    path=TRANSLATIONS,
)
def sequence_of_no_axis(folder):
    """A sequence that is a single number."""
    return run(folder, {TRANSLATIONS: 1.5})


@faulty(
    LayoutError,
    r"has shape \(35,\); 'whitefield' is a frame, of 2",
    attr="whitefield",
    path=WHITEFIELD,
)
def frame_of_one_axis(folder):
    """A frame that was written flat."""
    return run(folder, {WHITEFIELD: np.ones(35)})


@faulty(LayoutError, r"has shape \(70,\); 'data' is a stack, of 2")
def stack_of_one_axis(folder):
    """A stack that was written flat."""
    return run(folder, {DATA: frames(2).ravel()})


@faulty(
    LayoutError,
    r"is a group of 2 datasets, and 'x_pixel_size' is a scalar, which is one dataset",
    attr="x_pixel_size",
    path=PIXEL,
)
def group_for_a_scalar(folder):
    """A group of two datasets where a scalar is expected."""
    return run(folder, {f"{PIXEL}/slow": 1e-4, f"{PIXEL}/fast": 2e-4})


@faulty(LayoutError, r"is a group without a dataset in it: it is empty")
def empty_group(folder):
    """A group with nothing in it where `data` is expected."""
    name = run(folder)
    with h5py.File(name, "a") as h5:
        h5.create_group(DATA)
    return name


@faulty(LayoutError, r"group of unequal datasets.*data_1 .*\(2, 5, 7\).*data_2 .*\(2, 5, 8\)")
def group_of_unequal_shapes(folder):
    """A group of datasets with frames of different shapes."""
    return run(folder, {f"{DATA}/data_1": frames(2), f"{DATA}/data_2": frames(2, (5, 8))})


@faulty(LayoutError, r"group of unequal datasets.*data_1 is uint16.*data_2 is float32")
def group_of_unequal_types(folder):
    """A group of datasets of different types."""
    tree = {f"{DATA}/data_1": frames(2), f"{DATA}/data_2": frames(2, dtype="float32")}
    return run(folder, tree)


@faulty(LayoutError, r"group of unequal datasets.*data is uint16.*name is text")
def group_of_numbers_and_text(folder):
    """A group of frames with a word beside them."""
    return run(folder, {f"{DATA}/data": frames(2), f"{DATA}/name": "run 5"})


@faulty(LayoutError, r"is empty: its writer gave it a type, and neither a shape nor values")
def null_dataspace(folder):
    """`data` was made and never given a shape."""
    return run(folder, {DATA: h5py.Empty("uint16")})


@faulty(None, "", gives=np.zeros((0, 5, 7), "uint16"), shows=False)
def no_frames(folder):
    """`data` has no frames (a run that was stopped at once): an empty array, and no error."""
    return run(folder, {DATA: frames(0)})


@faulty(LayoutError, r"frames differ in shape: \(5, 7\) in .*run\.cxi.*\(5, 8\) in .*second\.cxi")
def files_of_unequal_frames(folder):
    """Two files whose frames differ in shape."""
    first = run(folder, {DATA: frames(2)})
    return [first, run(folder, {DATA: frames(2, (5, 8))}, "second.cxi")]


@faulty(
    LayoutError,
    r"cannot be indexed .*run\.cxi has 4 frames of 'data' and 3 of 'mask'",
    attr="mask",
    path=None,
    ask={"idxs": [0]},
)
def mask_of_other_frame_count(folder):
    """`data` of four frames and a mask of three."""
    return run(folder, {DATA: frames(4), MASK: np.ones((3, 5, 7), bool)})


@faulty(
    LayoutError,
    r"run\.cxi has 4 frames of 'data' and 2 of 'translations'",
    attr="translations",
    path=None,
    ask={"idxs": slice(2)},
)
def translations_of_fewer_rows(folder):
    """Four frames, and translations of two."""
    return run(folder, {DATA: frames(4), TRANSLATIONS: np.ones((2, 3))})


@faulty(
    LayoutError,
    r"masks_a\.cxi and in .*masks_b\.cxi are both single frames.*could stand for",
    attr="mask",
    path=None,
    ask={"idxs": [0]},
)
def two_masks_for_one_run(folder):
    """Two files with a mask each and no data, beside a file with data and no mask."""
    first = run(folder, {DATA: frames(4)})
    others = [put(folder / f"masks_{c}.cxi", {MASK: np.full((5, 7), c == "a")}) for c in ("a", "b")]
    return [first, *others]


@faulty(
    None,
    r"'mask' has frames of \(5, 8\).*'data' has frames of \(5, 7\)",
    attr="mask",
    path=MASK,
    gives=np.ones((2, 5, 8), bool),
)
def mask_of_another_frame_shape(folder):
    """A mask that is no mask of these frames: it loads as it is, and is told as a problem."""
    return run(folder, {DATA: frames(2), MASK: np.ones((2, 5, 8), bool)})


@faulty(
    None,
    r"second\.cxi has 0\.5 and .*run\.cxi, which is loaded, has 0\.25",
    attr="distance",
    path=None,
    gives=np.float64(0.25),
)
def distances_that_differ(folder):
    """Two files that say different distances: the first is loaded, and a problem says so."""
    second = put(folder / "second.cxi", {DATA: frames(1), DISTANCE: 0.5})
    return [run(folder, {DATA: frames(1)}), second]


@faulty(
    MemoryError,
    r"'data' of shape \(1099511627776, 4096, 4096\).*bytes.*load fewer frames",
    path=None,
    file="",
    shows=False,
)
def absurd_shape(folder):
    """A dataset of 2^40 frames, of which none is stored."""
    name = run(folder)
    with h5py.File(name, "a") as h5:
        h5.create_dataset(DATA, (2**40, 2**12, 2**12), "uint16", chunks=(1, 2**12, 2**12))
    return name


@faulty(
    LayoutError,
    r"frames of .*part\.h5:/entry_1.* are in .*run\.cxi and in .*part\.h5.*count twice; name one",
)
def master_and_its_data_file(folder):
    """A master is named with the file that it links (`run/*`): frames would count twice."""
    part = put(folder / "part.h5", {DATA: frames(2)})
    return [run(folder, {f"{DATA}/data_1": h5py.ExternalLink("part.h5", DATA)}), part]


@faulty(
    LayoutError,
    r"frames of .*run\.cxi:/entry_1.* are in .*run\.cxi and in .*second\.cxi.*count twice",
    like="master_and_its_data_file",
)
def one_file_by_two_names(folder):
    """A file and a hard link to it: frames would count twice."""
    first = run(folder, {DATA: frames(2)})
    (folder / "second.cxi").hardlink_to(first)
    return [first, str(folder / "second.cxi")]
