"""What users write, as lines of text: names, arguments and defaults in Python and at the terminal.

Run as a script it pins what is there in `signatures/`, beside itself.
"""

import hashlib
import inspect
import re
import typing
from pathlib import Path

from typer.models import ArgumentInfo, OptionInfo

import cxistack
from cxistack.cli import app

ROOT = Path(__file__).parents[2]
FOLDER = Path(__file__).with_name("signatures")

# What other calls return; nobody makes them by their constructors.
MADE_BY_CALLS = {"FrameStream", "FrameWriter", "LazyArray"}


def version():
    """Return the version that meson.build names."""
    (found,) = re.findall(r"^\s*version: '([^']+)'", (ROOT / "meson.build").read_text(), re.M)
    return found


def signature(thing):
    """Return a callable's arguments and defaults, without their types."""
    found = inspect.signature(thing)
    bare = [one.replace(annotation=one.empty) for one in found.parameters.values()]
    text = str(found.replace(parameters=bare, return_annotation=found.empty))
    return re.sub(r" at 0x[0-9a-f]+", "", text)


def plain(value):
    """Return how a default is written; a path as its text."""
    return repr(str(value) if isinstance(value, Path) else value)


def lines_of_class(name, cls):
    """Return a line for a class and one for each of its public members, inherited ones too."""
    public = {id(getattr(cxistack, one)) for one in cxistack.__all__}
    bases = [
        base.__name__
        for base in cls.__mro__[1:]
        if base is not object and (id(base) in public or base.__module__ == "builtins")
    ]
    first = f"class {name} of {', '.join(bases)}" if bases else f"class {name}"
    if issubclass(cls, BaseException):
        return [first]
    lines = [first] if name in MADE_BY_CALLS else [first, f"{name}{signature(cls)}"]
    inherited = set(dir(tuple)) if issubclass(cls, tuple) else set()
    for member in sorted(one for one in set(dir(cls)) - inherited if not one.startswith("_")):
        thing = inspect.getattr_static(cls, member)
        kind = type(thing).__name__
        if isinstance(thing, (staticmethod, classmethod)) or inspect.isroutine(thing):
            prefix = f"{kind} " if isinstance(thing, (staticmethod, classmethod)) else ""
            lines.append(f"{prefix}{name}.{member}{signature(getattr(cls, member))}")
        else:
            lines.append(f"attribute {name}.{member}")
    fields = getattr(cls, "__annotations__", {})
    lines += [f"attribute {name}.{one}" for one in sorted(fields) if not one.startswith("_")]
    return list(dict.fromkeys(lines))


def lines_of_module(module, prefix=""):
    """Return the lines of what a module's `__all__` names."""
    lines = []
    for name in sorted(module.__all__):
        thing = getattr(module, name)
        if inspect.isclass(thing):
            lines += lines_of_class(prefix + name, thing)
        elif inspect.ismodule(thing):
            lines += lines_of_module(thing, f"{prefix}{name}.")
        elif callable(thing):
            lines.append(f"{prefix}{name}{signature(thing)}")
        elif name != "__version__":
            lines.append(f"value {prefix}{name}")
    return lines


def lines_of_command(function, name):
    """Return the lines of a command's arguments and options, as its function declares them."""
    lines = [name]
    types = typing.get_type_hints(function, include_extras=True)
    for one in inspect.signature(function).parameters.values():
        base, *marks = typing.get_args(types[one.name])
        (mark,) = (mark for mark in marks if isinstance(mark, (OptionInfo, ArgumentInfo)))
        rest = "required" if one.default is one.empty else f"default {plain(one.default)}"
        kind = base.__name__ if isinstance(base, type) and not typing.get_args(base) else str(base)
        kind = re.sub(r"\b(typing|pathlib)\.", "", kind)
        dashed = "--" + one.name.replace("_", "-")
        if base is bool:
            dashed += "/--no-" + one.name.replace("_", "-")
        told = [name for name in (mark.default, *(mark.param_decls or ())) if isinstance(name, str)]
        options = ", ".join(told or [dashed])
        if isinstance(mark, ArgumentInfo):
            options = one.name.upper()
        lines.append(f"{name} {options}: {kind}, {rest}")
    return lines


def lines_of_app(app, name):
    """Return the lines of each command of a program, and of the programs below it."""
    lines = (
        lines_of_command(app.registered_callback.callback, name) if app.registered_callback else []
    )
    found = {one.name or one.callback.__name__: one.callback for one in app.registered_commands}
    for below in sorted(found):
        lines += lines_of_command(found[below], f"{name} {below}")
    for group in app.registered_groups:
        lines += lines_of_app(group.typer_instance, f"{name} {group.name}")
    return lines


def signatures():
    """Return the text of each pinned file by its name."""
    found = {"python.txt": lines_of_module(cxistack), "terminal.txt": lines_of_app(app, "cxistack")}
    return {name: "\n".join(lines) + "\n" for name, lines in found.items()}


def digest(texts):
    """Return few letters that stand for the texts."""
    return hashlib.sha256("".join(texts[name] for name in sorted(texts)).encode()).hexdigest()[:12]


def sections():
    """Return the sections of the CHANGELOG: the version and state that each head has, its text."""
    text = (ROOT / "CHANGELOG.md").read_text()
    parts = re.split(r"^## (\S+) \((.+)\)$", text, flags=re.M)[1:]
    return list(zip(parts[::3], parts[1::3], parts[2::3], strict=True))


def pin():
    """Write what is there, unless it differs from that of a version that is out."""
    told, state, text = sections()[0]
    now = signatures()
    if state != "not released" and f"Signatures: {digest(now)}" not in text:
        raise SystemExit(
            f"{told} is out since {state}, and its signatures stay: raise `version` in "
            "meson.build, and begin a section `## VERSION (not released)` in CHANGELOG.md"
        )
    for name, lines in now.items():
        (FOLDER / name).write_text(lines)


if __name__ == "__main__":
    pin()
