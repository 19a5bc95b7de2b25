"""Names of files on a server. Pure.

A name is shown, and is a key, without what may be secret: user, password, and all behind the "?".
"""

from __future__ import annotations

import re
from urllib.parse import SplitResult, urljoin, urlsplit

__all__ = ["beside", "in_folder_of", "is_url", "scheme_of", "shown_url", "without_urls"]

_URL = re.compile(r"(https?|s3)://", re.IGNORECASE)
_ANY = re.compile(r"\w+://[^\s\"'<>)]+")


def is_url(name: str) -> bool:
    """Tell whether a name is that of a file on a server.

    Examples
    --------
    >>> is_url("https://data.example.org/run_1.cxi"), is_url("/data/run_1.cxi")
    (True, False)
    """
    return _URL.match(name) is not None


def scheme_of(url: str) -> str:
    """Return "http", "https" or "s3"."""
    return url.partition(":")[0].lower()


def shown_url(url: str) -> str:
    """Return a name without what may be secret.

    Examples
    --------
    >>> shown_url("https://me:word@data.example.org:8443/a%20b/run_1.cxi?X-Amz-Signature=1f#top")
    'https://data.example.org:8443/a%20b/run_1.cxi'
    """
    if scheme_of(url) == "s3":
        return "s3" + url[2:]  # a key may have any character in it
    parts = urlsplit(url)
    return SplitResult(
        parts.scheme.lower(), parts.netloc.rpartition("@")[2], parts.path, "", ""
    ).geturl()


def without_urls(text: str, url: str) -> str:
    """Return a text of a library in which every address is `url`, which may be shown."""
    return _ANY.sub(url, text)


def beside(url: str, name: str) -> str:
    """Return the name of a file that one on a server means by a relative name.

    Examples
    --------
    >>> beside("s3://beamtime/scan/master.h5", "../raw/data_1.h5")
    's3://beamtime/raw/data_1.h5'
    """
    scheme = scheme_of(url)
    found = urljoin("http" + url[len(scheme) :], name.replace("?", "%3F").replace("#", "%23"))
    return scheme + found[len("http") :]


def in_folder_of(url: str, given: str) -> bool:
    """Tell whether a file lies in, or below, the folder of another."""
    return url.startswith(given.rpartition("/")[0] + "/")
