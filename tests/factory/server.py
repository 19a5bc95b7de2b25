"""A web server on this machine that gives ranges of a folder's files, and fails as it is told."""

import hashlib
import re
import threading
import time
from contextlib import contextmanager
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

__all__ = ["Server", "serving"]


class Server:
    """What a server gave, and how it fails.

    Attributes
    ----------
    asked : list of (str, str, tuple or None)
        The method, the file and the range of each request.
    faults : list of callables
        Each is asked in turn what becomes of a request, by its handler; the first word counts:
        a number is a status, "cut" ends the connection in the answer, "stall" stops in it, "short"
        gives fewer bytes than it says, "whole" knows no ranges, and None is no fault.
    tags : {"etag", "weak", "time", "none"}
        By what files are known.
    """

    def __init__(self, folder):
        self.folder, self.asked, self.faults = folder, [], []
        self.latency, self.tags = 0.0, "etag"
        self.released = threading.Event()
        self.url = ""

    def of(self, *names):
        """Return the addresses of files."""
        return [f"{self.url}/{getattr(name, 'name', name)}" for name in names]

    @property
    def ranges(self):
        """The ranges that were asked for."""
        return [one for _, _, one in self.asked if one is not None]

    @property
    def given(self):
        """How many bytes were asked for."""
        return sum(end - begin for begin, end in self.ranges)

    def fails(self, word, times=1, when=lambda handler: True):
        """Let the next requests of some kind fail."""
        left = [times]

        def fault(handler):
            if left[0] and when(handler):
                left[0] -= 1
                return word
            return None

        self.faults.append(fault)


@contextmanager
def serving(folder):
    """Run a server of a folder."""
    server = Server(folder)
    http = _Quiet(("127.0.0.1", 0), type("Handler", (_Handler,), {"serves": server}))
    http.daemon_threads = True
    http.block_on_close = False
    thread = threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    server.url = f"http://127.0.0.1:{http.server_address[1]}"
    try:
        yield server
    finally:
        server.released.set()
        http.shutdown()
        http.server_close()
        thread.join()


class _Quiet(ThreadingHTTPServer):
    def handle_error(self, request, client_address):
        """Say nothing of who has gone away."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 1 << 16
    serves: Server

    def log_message(self, *args):
        pass

    def do_HEAD(self):
        self._answer(is_head=True)

    def do_GET(self):
        self._answer(is_head=False)

    def _answer(self, *, is_head):
        server = self.serves
        path = server.folder / unquote(urlsplit(self.path).path).lstrip("/")
        size = path.stat().st_size if path.is_file() else None
        self.range = self._wanted(size or 0)
        server.asked.append((self.command, path.name, self.range))
        time.sleep(server.latency)
        words = (fault(self) for fault in list(server.faults))
        word = next((word for word in words if word is not None), None)
        if size is None or isinstance(word, int):
            return self._status(404 if size is None else word)
        tags = self._tags(path)
        if self.headers.get("If-Match", tags.get("ETag")) != tags.get("ETag"):
            return self._status(412)
        begin, end = self.range if self.range and word != "whole" else (0, size)
        is_part = self.range is not None and word != "whole"
        self.send_response(206 if is_part else 200)
        if is_part:
            self.send_header("Content-Range", f"bytes {begin}-{end - 1}/{size}")
        self.send_header("Content-Length", str(end - begin))
        for name, value in tags.items():
            self.send_header(name, value)
        self.end_headers()
        if not is_head:
            with path.open("rb") as file:
                file.seek(begin)
                self._give(file.read(end - begin), word)
        return None

    def _wanted(self, size):
        found = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        return found and (int(found[1]), min(size, int(found[2] or size) + 1))

    def _tags(self, path):
        status = path.stat()
        known = (str(path), status.st_mtime_ns, status.st_size)
        tag = f'"{hashlib.blake2b(repr(known).encode(), digest_size=8).hexdigest()}"'
        when = {"Last-Modified": formatdate(path.stat().st_mtime, usegmt=True)}
        known = {"etag": {"ETag": tag, **when}, "weak": {"ETag": f"W/{tag}", **when}, "time": when}
        return known.get(self.serves.tags, {})

    def _give(self, data, word):
        if word in ("cut", "stall", "short"):
            self.wfile.write(data[: len(data) // 2])
            self.wfile.flush()
            if word == "stall":
                self.serves.released.wait(20)
            self.close_connection = True
        else:
            self.wfile.write(data)

    def _status(self, status):
        text = f"{status} for {self.path}".encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(text)
