"""The house: rooms, floors, imports that run downwards, and no room or function too large.

What is read are the sources of the installed package; compiled modules are read where they are.
"""

import ast
import re
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import cxistack
from cxistack import public
from factory import ROOT

# From the ground up; the rooms of one floor do not know each other.
FLOORS = [
    {"errors", "progress", "markup", "written", "capi"},
    {"kernels"},
    {"transforms", "processing"},
    {"hdf5"},
    {"protocol", "build"},
    {"catalogue"},
    {"loading"},
    {"saving", "checking", "streaming", "adapters", "pictures", "_capi"},
    {"store", "discovery"},
    {"container", "converting", "plugins", "reporting"},
    {"public"},
    {"__init__"},
    {"cli"},
    {"__main__"},
]
FLOOR_OF = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}

MOST_LINES = 450  # of a module
MOST_STATEMENT_LINES = 60  # of a function, docstring not counted
MOST_ARGUMENTS = 6  # self and cls not counted
# Public verbs, whose keywords users write. Commands and kernels are left out by their rooms.
VERBS = {
    "__init__",
    "add_attribute",
    "convert",
    "explain",
    "follow",
    "load_attribute",
    "open_dataset",
    "plot",
    "prepared",
    "read",
    "reduce",
    "save",
    "save_attribute",
    "stream",
    "to_xarray",
    "writer",
}

INSTALLED = Path(cxistack.__file__).parent
SOURCES = ROOT / "src" / "cxistack"
PYTHON = sorted(INSTALLED.rglob("*.py"))
COMPILED = sorted(SOURCES.rglob("*.pyx")) + sorted(SOURCES.rglob("*.pxd"))


def name_of(file):
    """Return the name of a module below the package, as parts."""
    base = INSTALLED if file.suffix == ".py" else SOURCES
    return file.relative_to(base).with_suffix("").parts


def room_of(parts):
    return parts[0]


def imported(file):
    """Return what a file imports of the package, each as the parts of a module's name."""
    parts = name_of(file)
    if file.suffix != ".py":
        found = re.findall(
            r"^\s*(?:from|cimport|import) cxistack\.([\w.]+)", file.read_text(), re.MULTILINE
        )
        return [tuple(one.split(".")) for one in found]
    names = []
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [tuple(one.name.split(".")[1:]) for one in node.names if is_ours(one.name)]
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                base = parts[: len(parts) - node.level]
            elif is_ours(node.module or ""):
                base = ()
            else:
                continue
            module = tuple((node.module or "").split(".")) if node.module else ()
            module = module[1:] if not node.level else module
            for one in node.names:
                whole = (*base, *module, one.name)
                names.append(whole if is_module(whole) else (*base, *module))
    return [name or ("__init__",) for name in names]


def is_ours(name):
    return name == "cxistack" or name.startswith("cxistack.")


def is_module(parts):
    path = SOURCES.joinpath(*parts)
    return path.is_dir() or any(path.with_suffix(end).is_file() for end in (".py", ".pyx"))


def edges(files):
    return {name_of(file): set(imported(file)) - {name_of(file)} for file in files}


@pytest.mark.parametrize("file", PYTHON, ids=lambda file: "/".join(name_of(file)))
def test_every_file_is_in_a_room(file):
    assert room_of(name_of(file)) in FLOOR_OF


@pytest.mark.parametrize(
    "file", PYTHON + COMPILED, ids=lambda file: "/".join(name_of(file)) + file.suffix
)
def test_imports_run_downwards(file):
    room = room_of(name_of(file))
    for other in {room_of(parts) for parts in imported(file)} - {room}:
        assert FLOOR_OF[other] < FLOOR_OF[room], f"{room} imports {other}, which is not below it"


def test_no_modules_import_each_other():
    known = {name: found for name, found in edges(PYTHON).items() if name[-1] != "__init__"}
    order = TopologicalSorter({name: found & set(known) for name, found in known.items()})
    try:
        order.prepare()
    except CycleError as error:
        pytest.fail(f"a circle: {' -> '.join('.'.join(one) for one in error.args[1])}")


def test_there_are_few_rooms_on_few_floors():
    packages = {name[:-1] for name in map(name_of, PYTHON) if len(name) > 1}
    loose = {name for name in map(name_of, PYTHON) if len(name) == 1}
    assert len(packages) + len(loose) <= 30
    assert len(FLOORS) <= 14
    ground = ("errors", "markup", "progress", "written")
    assert loose == {(name,) for name in ("__init__", "__main__", "public", *ground)}


@pytest.mark.parametrize("file", PYTHON, ids=lambda file: "/".join(name_of(file)))
def test_h5py_is_known_in_its_own_rooms_alone(file):
    room = room_of(name_of(file))
    names = {
        name.name if isinstance(node, ast.Import) else node.module or ""
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in node.names
    }
    if room not in ("hdf5", "saving"):
        assert not {name for name in names if name.split(".")[0] == "h5py"}


@pytest.mark.parametrize("file", PYTHON, ids=lambda file: "/".join(name_of(file)))
def test_no_room_is_too_large(file):
    text = file.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= MOST_LINES
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        told = ast.get_docstring(node, clean=False)
        lines = node.end_lineno - node.lineno + 1
        if told is not None:
            lines -= node.body[0].end_lineno - node.body[0].lineno + 1
        assert lines <= MOST_STATEMENT_LINES, f"{node.name} has {lines} lines"
        given = node.args.posonlyargs + node.args.args + node.args.kwonlyargs
        count = len([one for one in given if one.arg not in ("self", "cls")])
        if node.name not in VERBS and room_of(name_of(file)) not in ("cli", "kernels"):
            assert count <= MOST_ARGUMENTS, f"{node.name} takes {count} arguments"


@pytest.mark.parametrize("file", PYTHON, ids=lambda file: "/".join(name_of(file)))
def test_a_module_says_what_it_exports(file):
    parts = name_of(file)
    body = ast.parse(file.read_text(encoding="utf-8")).body
    if parts[-1] == "__main__" or all(isinstance(node, ast.Expr) for node in body):
        return  # a command, or a face that holds a docstring only
    if parts == ("__init__",):
        assert cxistack.__all__ == sorted([*public.__all__, "__version__"])
        return  # it shows what `public` exports
    names = {
        target.id
        for node in body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    assert "__all__" in names


def test_what_the_package_shows_is_what_is_public():
    assert set(dir(cxistack)) == set(cxistack.__all__)
