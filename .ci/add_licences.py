"""Put the licence texts of the bundled codec libraries into a wheel: add_licences.py WHEEL OUT.

They are taken from where the system that built the wheel keeps them: Debian, RPM or Homebrew.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

# Of each library: its licence, and where its text may lie.
LIBRARIES = {
    "liblz4": (
        "BSD-2-Clause",
        ["usr/share/doc/liblz4-1/copyright", "usr/share/licenses/lz4*/*", "opt/lz4/LICENSE*"],
    ),
    "libzstd": (
        "BSD-3-Clause",
        [
            "usr/share/doc/libzstd1/copyright",
            "usr/share/licenses/*zstd/LICENSE",
            "opt/zstd/LICENSE",
        ],
    ),
    "libdeflate": (
        "MIT",
        [
            "usr/share/doc/libdeflate0/copyright",
            "usr/share/licenses/libdeflate/COPYING",
            "opt/libdeflate/COPYING",
        ],
    ),
}
ROOTS = (Path("/"), Path("/opt/homebrew"), Path("/usr/local"))


def licence_text(library: str) -> str:
    """Return the text of a library's licence, or say where it was looked for."""
    places = LIBRARIES[library][1]
    files = [file for root in ROOTS for place in places for file in sorted(root.glob(place))]
    if not files:
        raise SystemExit(f"No licence text of {library}: none of {places} is in any of {ROOTS}")
    folder = files[0].parent
    return "\n".join(file.read_text("utf-8") for file in files if file.parent == folder)


def add_licences(wheel: Path, out: Path) -> None:
    """Write a copy of the wheel that holds the texts, and whose metadata name them."""
    tool = [sys.executable, "-m", "wheel"]
    with tempfile.TemporaryDirectory() as work:
        subprocess.run([*tool, "unpack", "--dest", work, wheel], check=True)
        (tree,) = Path(work).iterdir()
        (info,) = tree.glob("*.dist-info")
        names = []
        for library in LIBRARIES:
            names.append(f"bundled/{library}.txt")
            file = info / "licenses" / names[-1]
            file.parent.mkdir(exist_ok=True)
            file.write_text(licence_text(library), "utf-8")
        head, empty, body = (info / "METADATA").read_text("utf-8").partition("\n\n")
        lines = []
        for line in head.split("\n"):
            if line.startswith("License-Expression: "):
                own = {line.removeprefix("License-Expression: ")}
                licences = own | {licence for licence, _ in LIBRARIES.values()}
                line = f"License-Expression: {' AND '.join(sorted(licences))}"
            lines.append(line)
        lines += [f"License-File: {name}" for name in names]
        (info / "METADATA").write_text("\n".join(lines) + empty + body, "utf-8")
        subprocess.run([*tool, "pack", "--dest-dir", out, tree], check=True)


if __name__ == "__main__":
    add_licences(Path(sys.argv[1]), Path(sys.argv[2]))
