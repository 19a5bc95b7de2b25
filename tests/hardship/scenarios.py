"""Saves that the fault sweeps interrupt, the files they change, and how both are told by h5py."""

import functools
import tempfile
from pathlib import Path

import h5py
import numpy as np

from cxistack import CXIStore
from factory import DATA, DETECTOR, TRANSLATIONS, WHITEFIELD, frames

__all__ = ["GROUP_SIZES", "LIBVERS", "SAVES", "contents", "expected", "make", "save"]

LIBVERS = ("earliest", "latest")
GROUP_SIZES = (1, 9, 60, 300)  # objects beside the data: HDF5 keeps few and many in other ways
NEW_DISTANCE = "/entry/instrument/detector/distance"
NEW = frames(3, start=4000)
_OF_A_RUN = ("/entry_1/process_1/command", "/entry_1/process_1/date")  # another one each time


def make(path, libver, size):
    """Write the file that is saved to, with much in it that a save must leave alone."""
    with h5py.File(path, "w", libver=(libver, libver if libver == "latest" else "v108")) as h5:
        h5.attrs["facility"] = "PETRA III"
        h5.create_dataset(
            DATA,
            data=frames(4),
            chunks=(1, 5, 7),
            maxshape=(None, 5, 7),
            compression="gzip",
            shuffle=True,
        )
        h5[DATA].attrs.update(units="counts", axes="experiment_identifier:y:x")
        h5[WHITEFIELD] = np.linspace(0, 1, 54).reshape(6, 9)  # of other pixels than the frames
        h5[WHITEFIELD].attrs["window"] = np.arange(3, dtype=">i2")
        h5["/second/name"] = h5[WHITEFIELD]
        h5[TRANSLATIONS] = np.arange(12.0).reshape(4, 3)
        h5["/soft"] = h5py.SoftLink(DATA)
        h5["/broken"] = h5py.SoftLink("/nowhere")
        h5["/far"] = h5py.ExternalLink("gone.h5", "/x")
        for number in range(size):
            h5[f"{DETECTOR}/neighbour_{number:03}"] = np.full(number % 7 + 1, number)
            if number % 5 == 0:
                h5[DATA].attrs[f"note_{number:03}"] = f"kept {number}"


def _overwrite(store):
    store.save_attribute("data", frames(4, start=900))


def _append(store):
    store.save_attribute("data", NEW, mode="append")


def _insert(store):
    store.save_attribute("data", NEW, mode="insert", idxs=[5, 1, 4])


def _change_shape(store):
    store.save_attribute("whitefield", np.eye(5, 7))


def _new_attribute(store):
    store.save_attribute("distance", 0.25)


def _new_file(store):
    store.save_attribute("data", frames(4))


def _several(store):
    with store.transaction():
        store.save_attribute("data", NEW, mode="append")
        store.save_attribute("mask", np.eye(5, 7) == 0)
        store.save_attribute("translations", np.ones((7, 3)))
        store.save_attribute("whitefield", np.eye(5, 7))


def _inserted():
    values = np.concatenate([frames(4), NEW[[2, 0]]])
    values[1] = NEW[1]
    return values


#: By name: the store's mode, the save, and the values that are then at paths.
SAVES = {
    "overwrite": ("r+", _overwrite, {DATA: frames(4, start=900)}),
    "append": ("r+", _append, {DATA: np.concatenate([frames(4), NEW])}),
    "insert": ("r+", _insert, {DATA: _inserted()}),
    "changed shape": (
        "r+",
        _change_shape,
        {WHITEFIELD: np.eye(5, 7), "/second/name": np.eye(5, 7)},
    ),
    "new attribute": (
        "r+",
        _new_attribute,
        {"/entry/instrument/detector/distance": np.float64(0.25)},
    ),
    "new file": ("x", _new_file, {"/entry/data/data": frames(4)}),
    "several": (
        "a",
        _several,
        {
            DATA: np.concatenate([frames(4), NEW]),
            "/speckle_tracking/mask": np.eye(5, 7) == 0,
            TRANSLATIONS: np.ones((7, 3)),
            WHITEFIELD: np.eye(5, 7),
            "/second/name": np.eye(5, 7),
        },
    ),
}


def save(path, kind):
    """Do one of `SAVES`."""
    mode, action, _ = SAVES[kind]
    with CXIStore(path, mode=mode) as store:
        action(store)


def contents(path):
    """Return all that plain h5py tells of a file: links, objects, attributes, values."""
    with h5py.File(path, "r") as h5:
        told = {"/": ("group", _attributes(h5))}
        _walk(h5, "", told)
    return told


def _walk(group, above, told):
    for name in group:
        path = f"{above}/{name}"
        told[path] = _object(group, name)
        if path in _OF_A_RUN:
            told[path] = told[path][:-1]
        if told[path][0] == "group":
            _walk(group[name], path, told)


def _object(h5, name):
    link = h5.get(name, getlink=True)
    if isinstance(link, h5py.SoftLink):
        return "soft", link.path
    if isinstance(link, h5py.ExternalLink):
        return "external", link.filename, link.path
    one = h5[name]
    if isinstance(one, h5py.Group):
        return "group", _attributes(one)
    plist = one.id.get_create_plist()
    filters = tuple(plist.get_filter(n)[0] for n in range(plist.get_nfilters()))
    return "dataset", _attributes(one), filters, _value(one[()])


def _attributes(one):
    return tuple((name, _value(one.attrs[name])) for name in sorted(one.attrs))


def _value(value):
    array = np.asarray(value)
    raw = tuple(array.ravel()) if array.dtype.kind == "O" else array.tobytes()
    return array.shape, str(array.dtype), raw


def expected(old, kind):
    """Return what `contents` tells after a save, from what it told before and by NumPy alone."""
    told = dict(old)
    for path, values in SAVES[kind][2].items():
        parents = path.split("/")[1:-1]
        for depth in range(len(parents)):
            told.setdefault("/" + "/".join(parents[: depth + 1]), ("group", ()))
        _, attributes, filters, _ = told.get(path, ("dataset", (), (), None))
        told[path] = ("dataset", attributes, filters, _value(values))
    if SAVES[kind][0] == "x":
        return told | _of_a_new_file(kind)
    return told


@functools.cache
def _of_a_new_file(kind):
    """Return what an undisturbed save tells of a new file beside the values: CXI's own."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "undisturbed.h5"
        save(path, kind)
        told = contents(path)
    for where, values in SAVES[kind][2].items():
        assert told[where][-1] == _value(values)
    return told
