"""``cxistack info``: which attributes a run has, and what in it does not fit the protocol."""

from __future__ import annotations

import json
from typing import Any

import typer

from ..catalogue.others import addition
from ..checking.findings import Finding
from ..errors import CXIError
from ..store.store import CXIStore
from ..store.table import summary
from .failure import failures_told
from .lines import problem_lines, say
from .opening import AsJSON, ChannelName, DetectorName, FileNames, ProtocolFile, open_run

__all__ = ["info"]


def info(
    files: FileNames,
    protocol: ProtocolFile = None,
    detector: DetectorName = None,
    channel: ChannelName = None,
    as_json: AsJSON = False,
) -> None:
    """Show which attributes FILES have, together as one run: kind, shape, type and place.

    The exit status is 0 when all is well, 1 when there are problems (they are listed) or none of
    the protocol's attributes is there, and 2 when the files cannot be read at all.
    """
    with failures_told(), open_run(files, protocol, detector, channel) as store:
        problems = _problems(store)
        if as_json:
            typer.echo(json.dumps(_facts(store, problems), indent=2))
        else:
            names = [*store.filenames(), *store.paths()]
            text = [summary(store._catalogue, store.mode)]
            if problems:
                text += ["Problems:", *problem_lines(problems, store.filenames())]
            say("\n    ".join(["\n".join(text[:2]), *text[2:]]), names=names)
        status = 1 if problems or not store.found else 0
    raise typer.Exit(status)


def _problems(store: CXIStore) -> list[Finding]:
    """Return the store's problems, each message once."""
    said: dict[str, Finding] = {}
    for problem in store.problems:
        said.setdefault(problem.message, problem)  # one bad file is the trouble of all attributes
    return list(said.values())


def _facts(store: CXIStore, problems: list[Finding]) -> dict[str, Any]:
    attributes: dict[str, dict[str, Any]] = {}
    for attr in store.found:
        facts: dict[str, Any] = {
            "kind": store.protocol.attribute(attr).kind,
            "shape": None,
            "dtype": None,
            "error": None,
        }
        try:
            shape, dtype = store.describe(attr)
        except (CXIError, OSError) as error:
            facts["error"] = str(error)
        else:
            facts |= {"shape": shape, "dtype": "str" if dtype.kind == "O" else str(dtype)}
        attributes[attr] = facts
    more = addition(store._catalogue)
    return {
        "files": store.filenames(),
        "attributes": attributes,
        "problems": [
            {"attribute": one.attribute, "filename": one.filename, "message": one.message}
            for one in problems
        ],
        "other_protocol": more._asdict() if more is not None else None,
    }
