"""Files that cannot be opened, or are not what they were."""

import os
import shutil
from pathlib import Path

import h5py

from cxistack import LayoutError, LinkError, StorageError

from ..layouts import one_file
from ..values import DATA, frames, put
from .row import faulty, run

FILE = {"path": None, "rest": False}


def _replace(name, tree):
    """Put another file in the place of one that may be open."""
    other = Path(name).with_name("new")
    other.mkdir()
    Path(run(other, tree)).replace(name)


@faulty(
    StorageError, r"run\.cxi cannot be opened as an HDF5 file: it is not one.*signature", **FILE
)
def not_hdf5(folder):
    """A file of another format."""
    (folder / "run.cxi").write_bytes(b"II*\0 a picture, say " * 100)
    return str(folder / "run.cxi")


@faulty(StorageError, r"run\.cxi cannot be opened as an HDF5 file: it is empty", **FILE)
def empty_file(folder):
    """A file of no bytes: the disk was full, or a copy has just begun."""
    (folder / "run.cxi").write_bytes(b"")
    return str(folder / "run.cxi")


@faulty(
    StorageError,
    r"run\.cxi cannot be opened as an HDF5 file: it is truncated.*copy it again",
    breaks=one_file,
    count=9,
    **FILE,
)
def truncated_file(folder):
    """A file of which the end is missing: a copy that was broken off."""
    os.truncate(folder / "run.cxi", (folder / "run.cxi").stat().st_size - 300)


@faulty(PermissionError, r"run\.cxi", breaks=one_file, **FILE)
def file_without_permission(folder):
    """A file that this user may not read."""
    (folder / "run.cxi").chmod(0)


@faulty(StorageError, r"run\.cxi is a folder, not a file: name the files in it", **FILE)
def folder_for_a_file(folder):
    """A folder is named where a file is meant."""
    (folder / "run.cxi").mkdir()
    return str(folder / "run.cxi")


@faulty(StorageError, r"run\.cxi is a pipe, not a file", **FILE)
def pipe_for_a_file(folder):
    """A named pipe: who opens it for reading waits for ever."""
    os.mkfifo(folder / "run.cxi")
    return str(folder / "run.cxi")


@faulty(StorageError, r"leads to another file: .*near\.h5 is a pipe, not a file")
def link_to_a_pipe(folder):
    """An external link to a named pipe."""
    os.mkfifo(folder / "near.h5")
    return run(folder, {DATA: h5py.ExternalLink("near.h5", "/frames")})


@faulty(
    FileNotFoundError,
    r"symbolic link to gone\.cxi, which is not there: .*run\.cxi",
    opens=False,
    **FILE,
)
def dangling_symbolic_link(folder):
    """A file's name that is a symbolic link to nothing."""
    (folder / "run.cxi").symlink_to("gone.cxi")
    return str(folder / "run.cxi")


@faulty(FileNotFoundError, r"No such file or directory: .*run\.cxi", opens=False, **FILE)
def file_that_is_not_there(folder):
    """A name that no file has."""
    return str(folder / "run.cxi")


@faulty(
    StorageError, r"run\.cxi cannot be opened.*(is being written|was not closed).*h5clear", **FILE
)
def file_never_closed(folder):
    """A file whose writer still has it open, or died: its flags say so."""
    with h5py.File(folder / "live.cxi", "w", libver="latest") as h5:
        h5[DATA] = frames(2)
        h5.flush()
        shutil.copy(folder / "live.cxi", folder / "run.cxi")
    return str(folder / "run.cxi")


@faulty(
    StorageError,
    r"second\.cxi cannot be opened as an HDF5 file: it is not one",
    path=None,
    file="second.cxi",
    rest=False,
    like="not_hdf5",
)
def one_bad_file_of_two(folder):
    """A good file and one of another format: half of the frames would be missing."""
    (folder / "second.cxi").write_bytes(b"SIMPLE  =                    T" * 100)
    return [run(folder, {DATA: frames(2)}), str(folder / "second.cxi")]


@faulty(None, "", gives=frames(2), file="", shows=False)
def name_that_is_not_utf8(folder):
    """A file's name in another encoding: it opens, and can be shown."""
    name = os.fsdecode(os.fsencode(folder) + b"/\xb5m.cxi")
    put(name, {DATA: frames(2)})
    shutil.move(run(folder), folder / "other.cxi")
    return [name, str(folder / "other.cxi")]


@faulty(LayoutError, r"a name that is not UTF-8; give it another", path=f"{DATA}/\\xb5m")
def dataset_name_that_is_not_utf8(folder):
    """A group of datasets, one of which has a name in another encoding."""
    name = run(folder)
    with h5py.File(name, "a") as h5:
        h5py.h5d.create(
            h5.create_group(DATA).id,
            b"\xb5m",
            h5py.h5t.NATIVE_UINT16,
            h5py.h5s.create_simple((2, 5, 7)),
        ).write(h5py.h5s.ALL, h5py.h5s.ALL, frames(2))
    return name


@faulty(LinkError, r"leads nowhere.*soft link .* -> /\\xb5m", like="dangling_soft_link")
def link_target_that_is_not_utf8(folder):
    """A soft link to a name in another encoding that is not there."""
    name = run(folder)
    with h5py.File(name, "a") as h5:
        parent = h5.require_group(DATA.rsplit("/", 1)[0])
        parent.id.links.create_soft(b"data", b"/\xb5m")
    return name


@faulty(
    None,
    "",
    gives=frames(3, start=9),
    shows=False,
    meanwhile=lambda name: _replace(name, {DATA: frames(3, start=9)}),
)
def file_replaced_while_open(folder):
    """Another file takes the name after the store has looked: the new frames, and all of them."""
    return run(folder, {DATA: frames(2)})


@faulty(
    StorageError,
    r"cannot be opened as an HDF5 file: it is truncated",
    shows=False,
    meanwhile=lambda name: os.truncate(name, 3000),
    like="truncated_file",
    **FILE,
)
def file_truncated_while_open(folder):
    """The file is cut after the store has looked at it."""
    return run(folder, {DATA: frames(9)})


@faulty(
    FileNotFoundError,
    r"No such file or directory: .*run\.cxi",
    shows=False,
    meanwhile=os.remove,
    like="file_that_is_not_there",
    **FILE,
)
def file_removed_while_open(folder):
    """The file is removed after the store has looked at it."""
    return run(folder, {DATA: frames(9)})
