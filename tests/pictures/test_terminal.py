"""Pictures in a terminal: half blocks of two pixels, and its own graphics where it has them."""

import fcntl
import io
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time

import h5py
import numpy as np
import pytest
from rich.console import Console
from typer.testing import CliRunner

from cxistack.cli import app
from cxistack.pictures.colours import BEHIND, GREY, PALETTE
from cxistack.pictures.terminal import colour_bar, half_blocks

DATA = "/entry_1/instrument_1/detector_1/data"
CELL = re.compile(r"\x1b\[([\d;]*)m|(.)", re.DOTALL)


def painted(text):
    """Return the pixels (red, green, blue) that coloured half blocks show; -1 where none is."""
    rows, above, below = [], [], []
    front, back = (-1, -1, -1), (-1, -1, -1)
    for codes, char in CELL.findall(text):
        numbers = [int(one) for one in codes.split(";") if one]
        if codes or not char:
            while numbers:
                if numbers[:2] == [38, 2]:
                    front, numbers = tuple(numbers[2:5]), numbers[5:]
                elif numbers[:2] == [48, 2]:
                    back, numbers = tuple(numbers[2:5]), numbers[5:]
                elif numbers[0] == 0:
                    front, back, numbers = (-1, -1, -1), (-1, -1, -1), numbers[1:]
                else:
                    numbers = numbers[1:]
        elif char == "\n":
            rows += [above, below]
            above, below = [], []
        else:
            upper = {"▀": front, "▄": (-1, -1, -1), " ": (-1, -1, -1)}[char]
            lower = {"▀": back, "▄": front, " ": (-1, -1, -1)}[char]
            above.append(upper)
            below.append(lower)
    return np.array(rows)


def printed(text, width=80):
    console = Console(
        file=io.StringIO(), force_terminal=True, color_system="truecolor", width=width
    )
    console.print(text, end="")
    return console.file.getvalue()


@pytest.mark.parametrize("shape", [(2, 3), (7, 11), (20, 60), (1, 1)])
def test_half_blocks_are_the_pixels(shape):
    indices = np.random.default_rng(1).integers(0, 256, shape).astype(np.uint8)
    indices[0, 0] = BEHIND
    indices[-1, -1] = GREY
    found = painted(printed(half_blocks(indices)))
    expected = PALETTE[indices].astype(int)
    expected[indices == BEHIND] = -1
    np.testing.assert_array_equal(found[: shape[0]], expected)
    assert (found[shape[0] :] == -1).all()


def test_the_scale_is_one_line():
    line = printed(colour_bar(1.0, 23456.0, "counts", 60, log=True), 60)
    assert re.sub(r"\x1b\[[\d;]*m|█", "", line) == "1  23,456 counts, logarithmic"
    assert len(re.findall("█", line)) >= 8


@pytest.fixture
def frames():
    return np.random.default_rng(3).poisson(30, (5, 16, 24)).astype(np.uint16)


@pytest.fixture
def run(tmp_path, frames):
    mask = np.zeros((16, 24), np.uint32)
    mask[3:5, 6:9] = 1
    with h5py.File(tmp_path / "run.cxi", "w") as h5:
        h5[DATA] = frames
        h5["/entry_1/instrument_1/detector_1/mask"] = mask
    return tmp_path / "run.cxi"


def view(*words, **env):
    size = {"COLUMNS": "60", "LINES": "30", "NO_COLOR": "", "TERM": "xterm-256color"}
    return CliRunner().invoke(app, ["view", *map(str, words)], env={**size, **env})


def test_view_draws_the_frame_in_half_blocks(run, frames):
    shown = view(run, "--terminal", "--frame", 3, "--vmin", 0, "--vmax", 60)
    assert shown.exit_code == 0, shown.output
    lines = shown.stdout.split("\n")
    pixels = painted("\n".join(line for line in lines if "▀" in line) + "\n")
    times = pixels.shape[0] // 16
    assert pixels.shape[:2] == (16 * times, 24 * times)
    small = pixels[::times, ::times]
    assert (small[3:5, 6:9] == PALETTE[GREY]).all()
    places = np.rint(np.clip(frames[3], 0, 60) * (253 / 60)).astype(int)
    places[3:5, 6:9] = GREY
    np.testing.assert_array_equal(small, PALETTE[places])
    plain = " ".join(re.sub(r"\x1b\[[\d;]*m", "", shown.stdout).split())
    assert "frame 3 of 5" in plain
    assert "6 pixels without a good value" in plain
    assert "rows 0 to 15 downwards, columns 0 to 23" in plain


def test_several_frames_are_drawn_side_by_side(run):
    shown = view(run, "--terminal", "--frames", "0:5:2", "--crop", 0, 16, 4, 20)
    assert shown.exit_code == 0
    plain = re.sub(r"\x1b\[[\d;]*m", "", shown.stdout)
    assert "3 frames from 0 to 4, row by row" in " ".join(plain.split())
    assert "columns 4 to 19" in plain
    assert max(len(line) for line in plain.split("\n")) <= 60


def test_without_a_terminal_it_is_a_file(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shown = view(run)
    assert shown.exit_code == 0
    assert shown.stdout.startswith("frame.png: data 16 × 24")
    assert (tmp_path / "frame.png").is_file()


@pytest.mark.parametrize(
    ("words", "env", "why"),
    [
        (["--terminal", "-o", "a.png"], {}, "two places"),
        (["--terminal"], {"NO_COLOR": "1"}, "NO_COLOR"),
    ],
)
def test_what_cannot_be_drawn_is_one_sentence(run, words, env, why):
    shown = view(run, *words, **env)
    assert shown.exit_code == 2
    assert why in shown.stderr


class TestAtATerminal:
    """A terminal of our own that answers what it is asked, or does not."""

    def view(self, run, *, answer, **env):
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 60, 600, 600))
        words = [sys.executable, "-m", "cxistack", "view", str(run)]
        size = {"COLUMNS": "60", "LINES": "30", "TERM": "xterm-256color", "COLORTERM": "truecolor"}
        plain = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
        child = subprocess.Popen(
            words,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env={**plain, **size, **env},
            start_new_session=True,
            cwd=run.parent,
        )
        os.close(slave)
        seen, end = b"", time.monotonic() + 60
        while time.monotonic() < end:
            if select.select([master], [], [], 0.2)[0]:
                try:
                    part = os.read(master, 1 << 16)
                except OSError:  # it has ended
                    break
                seen += part
                if b"\x1b[c" in part and answer:
                    os.write(master, answer)
            elif child.poll() is not None:
                break
        os.close(master)
        assert child.wait(30) == 0, seen
        return seen

    def test_sixels_are_drawn_where_it_has_them(self, run):
        pytest.importorskip("textual_image")
        seen = self.view(run, answer=b"\x1b[?62;4;22c")
        assert b"\x1bP" in seen  # a sixel picture begins
        assert "▀".encode() not in seen
        assert b"counts" in seen
        assert not (run.parent / "frame.png").exists()

    def test_half_blocks_are_drawn_where_it_has_none(self, run):
        seen = self.view(run, answer=b"\x1b[?62;22c")
        assert "▀".encode() in seen
        assert b"\x1bP" not in seen

    def test_a_terminal_without_colours_gets_a_file(self, run):
        seen = self.view(run, answer=b"", TERM="dumb", COLORTERM="")
        assert b"frame.png: data" in seen
        assert (run.parent / "frame.png").is_file()
