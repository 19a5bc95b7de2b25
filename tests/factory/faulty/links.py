"""Links that lead nowhere, in a circle, or where they may not lead."""

import h5py

from cxistack import AttributeMissingError, LayoutError, LinkError

from ..values import DATA, DETECTOR, frames, put
from .row import faulty, run


@faulty(LinkError, r"leads nowhere.*soft link .* -> /raw/frames")
def dangling_soft_link(folder):
    """`data` is a soft link to a path that is not there."""
    return run(folder, {DATA: h5py.SoftLink("/raw/frames")})


@faulty(LinkError, r"needs the file 'gone\.h5', which is not there \(looked for .*\)")
def dangling_external_link(folder):
    """`data` is an external link to a file that is not there."""
    return run(folder, {DATA: h5py.ExternalLink("gone.h5", "/frames")})


@faulty(LinkError, r"leads nowhere.*external link .* -> other\.h5:/gone")
def dangling_path_in_other_file(folder):
    """`data` is an external link to a path that is not in the file it names."""
    put(folder / "other.h5", {"/frames": frames(2)})
    return run(folder, {DATA: h5py.ExternalLink("other.h5", "/gone")})


@faulty(LinkError, r"links turn in a circle.*soft link")
def circle_of_soft_links(folder):
    """Two soft links that lead to one another."""
    return run(folder, {DATA: h5py.SoftLink("/there"), "/there": h5py.SoftLink(DATA)})


@faulty(LinkError, r"links turn in a circle.*external link.*back\.h5")
def circle_of_external_links(folder):
    """External links of two files that lead to one another."""
    put(folder / "back.h5", {})
    with h5py.File(folder / "back.h5", "a") as h5:
        h5["/back"] = h5py.ExternalLink("run.cxi", DATA)
    return run(folder, {DATA: h5py.ExternalLink("back.h5", "/back")})


@faulty(LayoutError, r"is a group without a dataset in it: it holds data")
def circle_of_groups(folder):
    """`data` is a group that holds itself, by a hard link."""
    name = run(folder)
    with h5py.File(name, "a") as h5:
        group = h5.create_group(DATA)
        group["data"] = group
    return name


@faulty(LinkError, r"user-defined link.*cannot be followed")
def user_defined_link(folder):
    """`data` is of a class of links that only the program that made it can follow."""
    name = run(folder, {DATA: h5py.ExternalLink("x.h5", "/frames")})
    # A link message (HDF5 File Format, IV.A.2.g): version 1, flags, the link's type: 64 external.
    content = bytearray((folder / "run.cxi").read_bytes())
    at = content.index(b"\x08@\x04data") + 1
    assert content[at] == 64, content[at - 8 : at + 20]
    content[at] = 77
    (folder / "run.cxi").write_bytes(content)
    return name


@faulty(AttributeMissingError, r"none of the files.*looked at", shows=False)
def dataset_on_the_way(folder):
    """There is a dataset where the path to `data` needs a group; distance is elsewhere."""
    tree = {"/entry_1/instrument_1": 5, "/entry/instrument/detector/distance": 0.25}
    put(folder / "run.cxi", tree)
    return str(folder / "run.cxi")


def _elsewhere(folder):
    """Return a file outside the run's folder."""
    (folder / "elsewhere").mkdir()
    return put(folder / "elsewhere" / "frames.h5", {"/frames": frames(2)})


def _in_its_folder(folder, tree):
    (folder / "run").mkdir()
    return run(folder / "run", tree)


TREE = {"options": {"links": "tree"}}


@faulty(LinkError, r'leads to .*frames\.h5, outside.*links="follow" allows', **TREE)
def link_out_of_the_folder(folder):
    """A soft link to an external link out of the run's folder, under links="tree"."""
    tree = {DATA: h5py.SoftLink("/far"), "/far": h5py.ExternalLink(_elsewhere(folder), "/frames")}
    return _in_its_folder(folder, tree)


@faulty(LinkError, r'\(virtual\): leads to .*frames\.h5, outside.*links="follow" allows', **TREE)
def virtual_source_out_of_the_folder(folder):
    """A virtual dataset over a file out of the run's folder, under links="tree"."""
    layout = h5py.VirtualLayout((2, 5, 7), "uint16")
    layout[...] = h5py.VirtualSource(_elsewhere(folder), "/frames", (2, 5, 7))
    name = _in_its_folder(folder, {})
    with h5py.File(name, "a", libver="latest") as h5:
        h5.create_virtual_dataset(DATA, layout)
    return name


@faulty(LinkError, r"leads to .*near\.h5, a symbolic link to .*frames\.h5, outside", **TREE)
def symbolic_link_out_of_the_folder(folder):
    """An external link to a file of the folder, which is a symbolic link out of it."""
    name = _in_its_folder(folder, {DATA: h5py.ExternalLink("near.h5", "/frames")})
    (folder / "run" / "near.h5").symlink_to(_elsewhere(folder))
    return name


@faulty(
    LinkError,
    r"part_1\.h5.*which is not there.*one of 2 in the group.*can be named",
    path=f"{DETECTOR}/data/data_1",
)
def dangling_link_in_a_group(folder):
    """A group of external links to datasets, of which the second file is gone."""
    put(folder / "part_0.h5", {"/frames": frames(2)})
    links = {f"{DATA}/data_{n}": h5py.ExternalLink(f"part_{n}.h5", "/frames") for n in range(2)}
    return run(folder, links)
