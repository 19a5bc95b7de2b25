"""The synthesised runs of beamlines are what they say, read by plain h5py."""

import re
from pathlib import Path

import h5py
import hdf5plugin  # noqa: F401  h5py needs it to read bitshuffle
import numpy as np
import pytest

from factory.beamlines import FAULTY, LAYOUTS

UNITS = {
    **{"m": 1.0, "cm": 1e-2, "mm": 1e-3, "um": 1e-6, "nm": 1e-9, "angstrom": 1e-10},
    **{"eV": 1.602176634e-19, "J": 1.0},
}
NEXUS = [
    name
    for name, layout in LAYOUTS.items()
    if layout.__module__.rsplit(".", 1)[1] in ("nexus", "dectris")
]
MODULES = [name for name in LAYOUTS if name.startswith("agipd")]
MODULE = re.compile(r"AGIPD(\d\d)-S(\d{5})")


@pytest.fixture(scope="module", params=LAYOUTS)
def run(request, tmp_path_factory):
    return LAYOUTS[request.param](tmp_path_factory.mktemp(request.param))


@pytest.fixture(scope="module", params=FAULTY)
def fault(request, tmp_path_factory):
    return FAULTY[request.param](tmp_path_factory.mktemp(request.param))


def natural(name):
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]


def located(h5, path):
    """Return the object at a path; a ``*`` in it is the one source that the file has."""
    if "*" not in path:
        return h5[path]
    sources = []
    h5["/INSTRUMENT"].visititems(
        lambda name, thing: sources.append(name) if name.endswith("/image") else None
    )
    (source,) = sources
    return h5["/INSTRUMENT"][source][path.rsplit("/", 1)[1]]


def in_si(item):
    units = item.attrs.get("units", "m")
    return item[()] * UNITS[units.decode() if isinstance(units, bytes) else units]


def rows(file, path):
    """Return the rows of a dataset, or of all datasets of a group, `data_9` before `data_10`."""
    with h5py.File(file) as h5:
        item = located(h5, path)
        if isinstance(item, h5py.Group):
            return np.concatenate([item[name][()] for name in sorted(item, key=natural)])
        return item[()]


def stacked(run, path):
    """Return the frames of all files; modules, if there are any, along the second axis."""
    modules = {}
    for file in run.files:
        match = MODULE.search(file.name)
        values = rows(file, path)
        frames = values if values.ndim > 2 or match else values[None]
        modules.setdefault(match[1] if match else "", []).append(frames)
    parts = [np.concatenate(parts) for parts in modules.values()]
    return parts[0] if "" in modules else np.stack(parts, axis=1)


def links(folder):
    """Return what is behind each link and each virtual region of all files: its file and path."""
    found = []
    for file in sorted(folder.rglob("*.*")):
        with h5py.File(file) as h5:
            groups = []
            h5.visititems(lambda name, thing, groups=groups: groups.append((name, thing)))
            for name, thing in [("/", h5["/"]), *groups]:
                if isinstance(thing, h5py.Dataset):
                    for source in thing.virtual_sources() if thing.is_virtual else ():
                        found.append((file.parent / source.file_name, source.dset_name))
                        if source.file_name == ".":
                            found[-1] = file, source.dset_name
                    continue
                for child in thing:
                    link = thing.get(child, getlink=True)
                    if isinstance(link, h5py.ExternalLink):
                        found.append((file.parent / link.filename, link.path))
                    elif isinstance(link, h5py.SoftLink):
                        path = link.path if link.path[0] == "/" else f"{name}/{link.path}"
                        found.append((file, path))
    return found


def is_there(file, path):
    if not file.is_file():
        return False
    with h5py.File(file) as h5:
        return path in h5 and bool(h5[path])


def test_a_layout_says_which_program_writes_it():
    for name, layout in {**LAYOUTS, **FAULTY}.items():
        assert layout.__doc__, name


def test_it_has_its_name_and_a_protocol_and_files(run, request):
    assert run.name == request.node.callspec.params["run"]
    assert run.protocol in ("default", "cxi", "nxmx", "euxfel", "discover")
    assert run.files
    for file in run.files:
        with h5py.File(file) as h5:
            assert len(h5)


def test_the_files_hold_the_frames_in_order(run):
    data = stacked(run, run.paths["data"])
    assert data.dtype == run.data.dtype
    np.testing.assert_array_equal(data, run.data)


def test_no_two_frames_and_no_two_modules_are_alike(run):
    flat = run.data.reshape(-1, *run.data.shape[-2:])
    flat = flat[~np.isnan(flat).any(axis=(1, 2))] if flat.dtype.kind == "f" else flat
    assert len(np.unique(flat, axis=0)) == len(flat)


def test_the_mask_means_what_it_says(run):
    assert (run.mask is not None) == ("mask" in run.paths)
    if run.mask is None:
        assert run.flags is None
        return
    path = run.paths["mask"]
    flags = stacked(run, path) if run.mask.ndim > 2 else rows(run.files[-1], path)
    assert (run.flags is None) == (flags.dtype == bool)
    if flags.dtype == bool:
        expected = flags
    elif path.endswith("pixel_mask"):
        expected = (flags & 0xFFFF) == 0
    else:
        expected = flags == 0
    if run.flags is not None:
        np.testing.assert_array_equal(flags, run.flags)
    assert run.mask.dtype == bool
    np.testing.assert_array_equal(run.mask, expected)
    assert not run.mask.all()
    assert run.mask.any()
    np.broadcast_to(run.mask, run.data.shape)


def test_scalars_are_in_si_units(run):
    for name, value in run.scalars.items():
        for file in run.files:
            with h5py.File(file) as h5:
                stored = in_si(h5[run.paths[name]])
            np.testing.assert_allclose(np.squeeze(stored), value, rtol=1e-6, err_msg=name)


def test_sequences_are_in_si_units_and_go_with_the_frames(run):
    for name, value in run.sequences.items():
        parts = []
        for file in run.files:
            if "AGIPD" not in file.name or "AGIPD00" in file.name:
                with h5py.File(file) as h5:
                    parts.append(in_si(located(h5, run.paths[name])))
        stored = np.concatenate(parts)
        np.testing.assert_allclose(stored.reshape(value.shape), value, rtol=1e-12, err_msg=name)
        if value.shape != (2, 3) and value.shape != (3, 2) and name != "good_frames":
            assert len(value) == len(run.data)


def test_images_are_as_they_are_stored(run):
    for name, value in run.images.items():
        np.testing.assert_array_equal(rows(run.files[0], run.paths[name]), value)


def test_an_energy_and_a_wavelength_agree(run):
    both = {**run.scalars, **run.derived}
    if "energy" in both and "wavelength" in both:
        product = both["energy"] * both["wavelength"]
        np.testing.assert_allclose(product, 1.98644586e-25, rtol=1e-6)
    assert not set(run.derived) & set(run.paths)


def test_every_attribute_has_a_path(run):
    named = {
        "data",
        *run.scalars,
        *run.sequences,
        *run.images,
        *(["mask"] if "mask" in run.paths else []),
    }
    assert named == set(run.paths)


def test_what_else_is_promised_is_there(run):
    with h5py.File(run.files[0]) as h5:
        for path in run.promises:
            assert path in h5, path
        for path, value in run.others.items():
            np.testing.assert_array_equal(h5[path][()], value)


def test_every_link_and_virtual_region_leads_somewhere(run):
    for file, path in links(run.files[0].parent):
        assert is_there(file, path), f"{file.name}:{path}"


@pytest.mark.parametrize("run", NEXUS, indirect=True)
def test_every_group_of_a_nexus_file_has_a_class(run):
    classless = []

    def look(name, thing):
        if isinstance(thing, h5py.Group) and "NX_class" not in thing.attrs:
            classless.append(name)

    with h5py.File(run.files[0]) as h5:
        h5.visititems(look)
    assert classless == []


@pytest.mark.parametrize("run", MODULES, indirect=True)
def test_the_index_of_a_module_goes_with_its_frames(run):
    for file in run.files:
        with h5py.File(file) as h5:
            trains = h5["/INDEX/trainId"][()]
            ids = located(h5, "/INSTRUMENT/*/image/trainId")
            index = h5[ids.name.replace("/INSTRUMENT", "/INDEX").rsplit("/", 1)[0]]
            for train, first, count in zip(trains, index["first"], index["count"], strict=True):
                assert (ids[first : first + count] == train).all()
            assert index["count"][()].sum() == len(ids)


def test_what_is_wrong_is_wrong_where_it_says(fault):
    folder = fault.files[0].parent
    wrong = [f"{file.name}:{path}" for file, path in links(folder) if not is_there(file, path)]
    modules = {m[1] for m in map(MODULE.search, map(str, fault.files)) if m}
    wrong += [f"AGIPD{n:02}" for n in range(16) if modules and f"{n:02}" not in modules]
    counts = {}
    for file in fault.files:
        with h5py.File(file) as h5:
            if "/INDEX" in h5:
                counts[file.name] = len(located(h5, "/INSTRUMENT/*/image/data"))
    wrong += [name for name, count in counts.items() if count != max(counts.values())]
    assert {at for at in fault.at for place in wrong if at in place} == set(fault.at)
    assert [place for place in wrong if not any(at in place for at in fault.at)] == []


@pytest.mark.parametrize(
    ("name", "real"),
    [
        ("cxidb_minimal", "cxidb_minimal.cxi"),
        ("libcxi_typical_raw", "libcxi_typical_raw.cxi"),
        ("cdtools_ptychography", "p25_near_field_ptycho.cxi"),
    ],
)
def test_it_has_the_paths_the_ranks_and_the_types_of_a_real_file(name, real, shared_data, tmp_path):
    def described(file):
        found = {}

        def look(path, thing):
            if isinstance(thing, h5py.Dataset):
                found[path] = thing.dtype.kind, thing.ndim

        with h5py.File(file) as h5:
            h5.visititems(look)
        return found

    (file,) = LAYOUTS[name](tmp_path).files
    assert described(file) == described(shared_data / real)


def test_runs_do_not_depend_on_the_folder_they_are_in(tmp_path):
    for name in ("dectris_master", "diamond_nexgen", "bliss"):
        (tmp_path / name).mkdir()
        run = LAYOUTS[name](tmp_path / name)
        (tmp_path / name).rename(tmp_path / "moved")
        moved = [tmp_path / "moved" / Path(file).name for file in run.files]
        np.testing.assert_array_equal(rows(moved[0], run.paths["data"]), run.data)
        (tmp_path / "moved").rename(tmp_path / f"{name}_done")
