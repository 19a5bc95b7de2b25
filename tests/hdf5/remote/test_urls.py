"""Names of files on servers: what is shown of them, and what lies beside them."""

import pytest

from cxistack.hdf5.names import Given
from cxistack.hdf5.remote.urls import beside, in_folder_of, is_url, shown_url, without_urls


@pytest.mark.parametrize(
    ("name", "is_one"),
    [
        ("https://host/a.cxi", True),
        ("HTTP://host/a.cxi", True),
        ("s3://bucket/a.cxi", True),
        ("/data/https://host/a.cxi", False),
        ("https:/host", False),
        ("file:///data/a.cxi", False),
        ("s3", False),
    ],
)
def test_which_names_are_on_a_server(name, is_one):
    assert is_url(name) is is_one


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://host/a.cxi", "https://host/a.cxi"),
        ("HTTPS://Host:1/a%20b.cxi?x=1&y=2#z", "https://Host:1/a%20b.cxi"),
        ("https://me:p%40ss@host/a.cxi", "https://host/a.cxi"),
        ("s3://bucket/what? #1.cxi", "s3://bucket/what? #1.cxi"),
    ],
)
def test_what_may_be_secret_is_not_shown(url, shown):
    assert shown_url(url) == shown


@pytest.mark.parametrize(
    ("url", "name", "found"),
    [
        ("https://host/a/b.cxi", "c.h5", "https://host/a/c.h5"),
        ("https://host/a/b.cxi", "../c/d.h5", "https://host/c/d.h5"),
        ("s3://bucket/a/b.cxi", "./c 1.h5", "s3://bucket/a/c 1.h5"),
        ("https://host/a/b.cxi", "c?d#e.h5", "https://host/a/c%3Fd%23e.h5"),
    ],
)
def test_names_in_a_file_are_of_files_beside_it(url, name, found):
    assert beside(url, name) == found


def test_a_folder_is_that_of_the_name():
    assert in_folder_of("https://host/a/b/c.h5", "https://host/a/run.cxi")
    assert not in_folder_of("https://host/ab/c.h5", "https://host/a/run.cxi")


def test_addresses_in_a_text_are_replaced():
    text = "GET https://host/a?sig=1 failed, see (http://me:x@b/c)"
    assert without_urls(text, "URL") == "GET URL failed, see (URL)"


def test_addresses_that_differ_in_what_is_not_shown_have_numbers():
    urls = [f"https://host/get?file={n}" for n in range(3)]
    given = Given(urls)
    assert given.files() == ("https://host/get", "https://host/get#2", "https://host/get#3")
    assert list(given.secrets.values()) == urls
    with pytest.raises(ValueError, match="twice"):
        Given([urls[0], urls[0]])
