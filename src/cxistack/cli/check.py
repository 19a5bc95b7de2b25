"""``cxistack check``: whether a run is whole, before the beamtime ends."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from .failure import failures_told
from .lines import problem_lines, say
from .opening import AsJSON, ChannelName, DetectorName, FileNames, ProtocolFile, listed, open_store

__all__ = ["check"]


def check(
    files: FileNames,
    protocol: ProtocolFile = None,
    detector: DetectorName = None,
    channel: ChannelName = None,
    attributes: Annotated[
        str | None,
        typer.Option(metavar="A,B", help="Attributes that must be there; all found if none."),
    ] = None,
    conformance: Annotated[
        bool, typer.Option("--conformance", help="Hold CXI files against CXI 1.6, too.")
    ] = False,
    as_json: AsJSON = False,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Threads that decode; every core if none.")
    ] = None,
) -> None:
    """Check that FILES are whole: all opens, agrees and decodes; list all that is wrong.

    Every file opens, every link and source of a virtual dataset is there, shapes, types and numbers
    of frames go together, scalars agree, and every chunk decodes. Each problem is one line: file,
    dataset, frames and chunk, attribute, cause. With --conformance, files that say they are CXI are
    held against CXI 1.6: version, entries, links, axes, units, processes.

    With --json: "ok", "files", "attributes" (those checked) and "findings", each with "check"
    (there, agrees, decodes or conforms), "attribute", "filename", "dataset", "frames", "rows"
    (first and last), "chunk" (its first element), "cause" and "is_warning"; what does not apply is
    null or empty.

    The exit status is 0 when all is well but for warnings, 1 when there are problems, and 2 when
    the command cannot be carried out (no such file, no such attribute).
    """
    wanted = listed(attributes) if attributes is not None else None
    with failures_told(), open_store(files, protocol, detector, channel) as store:
        found = store.check(wanted, conformance=conformance, num_threads=threads, verbose=True)
        wrong = [one for one in found if not one.is_warning]
        checked = wanted if wanted is not None else store.found
        if as_json:
            facts = {
                "ok": not wrong,
                "files": store.filenames(),
                "attributes": checked,
                "findings": [one.as_dict() for one in found],
            }
            typer.echo(json.dumps(facts, indent=2))
        else:
            names = [*store.filenames(), *store.paths()]
            for line in problem_lines(found, store.filenames()):
                say(line, names=names)
            count = len(store.filenames())
            told = f"{count} file{'s' * (count != 1)} checked: {', '.join(checked) or 'nothing'}; "
            told += f"{len(wrong) or 'no'} problem{'s' * (len(wrong) != 1)}"
            warnings = len(found) - len(wrong)
            told += f", {warnings} warning{'s' * (warnings != 1)}" if warnings else ""
            say(told, err=True)
    raise typer.Exit(1 if wrong else 0)
