"""A web server of a folder that gives ranges of files, each answer after a latency.

Run as a program, in a process of its own: ``python -m benchmarks.harness.server FOLDER SECONDS``.
It writes its port, and on each line that it reads, how many requests and bytes there were since.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple

__all__ = ["Count", "Server", "serving"]


class Count(NamedTuple):
    """What a server gave."""

    requests: int
    bytes: int


class Server:
    """A server that runs in another process."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.url = f"http://127.0.0.1:{self._line().strip()}"

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()

    def count(self) -> Count:
        """Return what it gave since this was asked last."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return Count(*map(int, self._line().split()))


@contextmanager
def serving(folder: Path, latency: float) -> Iterator[Server]:
    """Run a server of a folder meanwhile."""
    command = [sys.executable, "-m", __name__, str(folder), str(latency)]
    root = Path(__file__).parents[2]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, text=True, cwd=root, **pipes) as process:  # type: ignore[call-overload]
        try:
            yield Server(process)
        finally:
            process.kill()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 1 << 16
    folder = Path()
    latency = 0.0
    given: list[int] = []  # noqa: RUF012 (of all)

    def log_message(self, *args: object) -> None:
        """Say nothing."""

    def do_HEAD(self) -> None:
        """Answer without the bytes."""
        self._answer(is_head=True)

    def do_GET(self) -> None:
        """Answer."""
        self._answer(is_head=False)

    def _answer(self, *, is_head: bool) -> None:
        time.sleep(self.latency)
        with (self.folder / self.path.lstrip("/")).open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            wanted = re.match(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
            begin, end = (int(wanted[1]), int(wanted[2] or size - 1) + 1) if wanted else (0, size)
            end = min(end, size)
            self.send_response(206 if wanted else 200)
            self.send_header("Content-Length", str(end - begin))
            self.send_header("Content-Range", f"bytes {begin}-{end - 1}/{size}")
            self.send_header("Accept-Ranges", "bytes")
            self.send_header("ETag", '"1"')
            self.end_headers()
            self.given.append(0 if is_head else end - begin)
            if not is_head:
                self.wfile.flush()
                self.connection.sendfile(file, begin, end - begin)


def _main(folder: str, latency: str) -> None:
    _Handler.folder, _Handler.latency = Path(folder), float(latency)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_address[1], flush=True)
    for _ in sys.stdin:
        given = _Handler.given[:]
        del _Handler.given[: len(given)]
        print(len(given), sum(given), flush=True)


if __name__ == "__main__":
    _main(*sys.argv[1:])
