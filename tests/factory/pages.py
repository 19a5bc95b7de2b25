"""The pages of the documentation: their blocks of code, and running them one after another."""

import doctest
import glob
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from typer.testing import CliRunner

from cxistack.cli import app

__all__ = ["Block", "Page"]

_FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE

_FENCE = re.compile(
    r"^```(?:\{code-block\} )?(?P<language>[\w{}-]*)(?P<rest>[^\n]*)\n"
    r"(?::caption: (?P<name>\S+)\n+)?"
    r"(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
_ELSEWHERE = ("pip ", "sbatch ")  # commands of a machine, which a test leaves alone


@dataclass(frozen=True)
class Block:
    """One block of code, and the file that its caption names."""

    language: str
    name: str | None
    text: str
    line: int


class Page:
    """A page in MyST. Its head may say what its blocks need.

    needs
        Modules; without one of them the page's test is skipped.
    files
        Real files; they lie in the folder where the blocks run.
    layout
        A synthesised run of the factory's, whose files lie in that folder, in ``run/``.
    serves
        An address, and the folder that is served as if it were there.
    """

    def __init__(self, path):
        self.path, self.text = Path(path), Path(path).read_text(encoding="utf-8")
        head = re.match(r"---\n(.*?)^---$", self.text, re.MULTILINE | re.DOTALL)
        said = dict(re.findall(r"^(\w+): (.*)$", head[1], re.MULTILINE)) if head else {}
        self.needs, self.files = said.get("needs", "").split(), said.get("files", "").split()
        self.layout, self.serves = said.get("layout"), said.get("serves", "").split()
        self.blocks = [
            Block(
                found["language"],
                found["name"],
                found["text"],
                self.text[: found.start()].count("\n") + 1,
            )
            for found in _FENCE.finditer(self.text)
        ]

    @property
    def is_run(self):
        """Whether there is anything to run."""
        return any(block.language in ("python", "console") for block in self.blocks)

    def rows(self):
        """Return the rows of tables that give two ways in code: (left, right, names above)."""
        found = re.findall(r"^\| [^|`]*\| `([^`|]+)` \| `([^`|]+)` \|$", self.text, re.MULTILINE)
        return [(left, right) for left, right in found]

    def run(self):
        """Run all blocks here, and return what is not as the page shows it, and the names made."""
        if not self.serves:
            return self._run(self.blocks)
        from .server import serving

        address, folder = self.serves
        with serving(Path(folder)) as server:
            url = f"{server.url}/"
            blocks = [replace(one, text=one.text.replace(address, url)) for one in self.blocks]
            return self._run(blocks)

    def _run(self, blocks):
        names, report = {}, []
        for block in blocks:
            if block.name is not None:
                Path(block.name).write_text(block.text, encoding="utf-8")
                if block.language == "python":
                    compile(block.text, block.name, "exec")
            elif block.language == "python":
                report += self._python(block, names)
            elif block.language == "console":
                report += self._console(block)
        return "".join(report), names

    def _python(self, block, names):
        told = []
        parser = doctest.DocTestParser()
        test = parser.get_doctest(block.text, {}, self.path.name, str(self.path), block.line)
        if not test.examples:
            exec(compile(block.text, f"{self.path}:{block.line}", "exec"), names)
            return told
        test.globs = names
        doctest.DocTestRunner(optionflags=_FLAGS).run(test, out=told.append, clear_globs=False)
        return told

    def _console(self, block):
        told = []
        for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
            command, _, shown = part.partition("\n")
            command = command.split("  #")[0].strip()
            if command.startswith(_ELSEWHERE):
                continue
            code, output = _run(command)
            checker = doctest.OutputChecker()
            if shown.strip() and not checker.check_output(shown, output, _FLAGS):
                told.append(f"{self.path}: $ {command}\nshows\n{shown}\nand gives\n{output}\n")
            elif not shown.strip() and code:
                told.append(f"{self.path}: $ {command}\nends with status {code}:\n{output}\n")
        return told


def _run(command):
    """Run a command as a shell would, and return its status and what it shows."""
    words = []
    for word in shlex.split(command, posix=False):
        bare = word.strip("'\"")
        words += (sorted(glob.glob(bare)) or [bare]) if bare == word and "*" in word else [bare]
    if words[0] == "cxistack":
        result = CliRunner().invoke(app, words[1:], env={"COLUMNS": "100"})
        return result.exit_code, result.output
    done = subprocess.run(
        [sys.executable if words[0] == "python" else words[0], *words[1:]],
        capture_output=True,
        text=True,
        timeout=120,
    )
    return done.returncode, done.stdout + done.stderr
