"""Tell whose the reports of a sanitizer or of valgrind are: reports.py LOG...

A report is ours where a frame of any of its stacks lies in a module of this package, or in one of
the packages under tests/downstream: these are printed, and make it end with 1. Of all others it
prints how many there are, by what they are and by the library in which they were noticed.
"""

import re
import sys
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

OURS = re.compile(
    r"site-packages/cxistack/|src/cxistack/|__pyx_\w*8cxistack|cxi_(region|loops|raii)"
)
BEGINS = re.compile(r"ERROR: AddressSanitizer|WARNING: ThreadSanitizer|runtime error:")
LIBRARY = re.compile(r"([\w.+-]+\.so[\w.]*|python[\d.]+)")


def of_text(log: Path) -> list[tuple[str, str]]:
    """Return the reports of a sanitizer: what each is, and its text."""
    found: list[list[str]] = []
    is_open = False
    for line in log.read_text("utf-8", "replace").splitlines():
        if BEGINS.search(line):
            found.append([])
            is_open = True
        if is_open:
            found[-1].append(line)
        if line.startswith("SUMMARY:"):
            is_open = False
    return [(_what(lines), "\n".join(lines)) for lines in found]


def _what(lines: list[str]) -> str:
    kind = BEGINS.split(lines[0], maxsplit=1)[-1].strip(": ")
    frames = [line for line in lines if line.lstrip().startswith("#")]
    places = [found[0] for line in frames if (found := LIBRARY.findall(line.split("(")[-1]))]
    outside = [one for one in places if not re.match(r"lib[atu]?san", one)]
    return f"{re.sub(r' ?[(]pid.*|0x.*', '', kind)} in {(outside or places or ['?'])[0]}"


def of_valgrind(log: Path) -> list[tuple[str, str]]:
    """Return the reports of valgrind: what each is, and its frames."""
    found = []
    for error in ElementTree.parse(log).getroot().iter("error"):
        # What Python's collector knows is pointed to behind its head, and so "possibly" lost: all
        # types and functions that are there at the end.
        if error.findtext("kind") == "Leak_PossiblyLost":
            continue
        frames = []
        for frame in error.iter("frame"):
            words = {one.tag: one.text or "" for one in frame}
            place = words.get("obj", "?")
            at = f"{words.get('dir', '')}/{words.get('file', '?')}:{words.get('line', '?')}"
            frames.append(f"  {words.get('fn', '?')} ({place}, {at})")
        first = Path(next(frame for frame in error.iter("frame")).findtext("obj", "?")).name
        kind = error.findtext("kind", "?")
        found.append((f"{kind} in {first}", "\n".join([kind, *frames])))
    return found


def main(logs: list[str]) -> int:
    """Print them; return 1 where one is ours."""
    others: Counter[str] = Counter()
    ours: dict[str, int] = {}
    for log in map(Path, logs):
        for what, text in (of_valgrind if log.suffix == ".xml" else of_text)(log):
            if OURS.search(text):
                ours[text] = ours.get(text, 0) + 1
            else:
                others[what] += 1
    for text in ours:
        sys.stdout.write(f"-- ours:\n{text}\n")
    sys.stdout.write(f"{len(ours)} reports name a module of ours, {sum(others.values())} do not\n")
    for what, count in others.most_common(20):
        sys.stdout.write(f"  {count} {what}\n")
    return 1 if ours else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
