"""What notebooks and reports are made of: nothing of a file can become markup."""

import html
from html.parser import HTMLParser

import pytest

from cxistack import markup

EVIL = "<script>alert('x')</script> & \"q\" /a/b"


class Texts(HTMLParser):
    """Collects tags, texts and attributes."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.text, self.values = [], "", []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.values += [value for _, value in attrs]

    def handle_data(self, data):
        self.text += data


@pytest.mark.parametrize(
    "page",
    [
        markup.table([EVIL], [[EVIL, 3]]),
        markup.notes([EVIL], are_bad=True),
        markup.preformatted(EVIL),
        markup.figure(b"png", EVIL, 3),
        markup.notebook(EVIL, markup.notes([EVIL])),
    ],
)
def test_text_is_escaped(page):
    found = Texts(page)
    assert "script" not in found.tags
    assert EVIL in found.text


def test_a_name_that_is_no_utf_8_is_shown():
    assert markup.escaped("a\udcff/b") == "a\\xff/b"
    html.unescape(markup.escaped("a\udcff")).encode("utf-8")


def test_nothing_is_shown_of_nothing():
    assert markup.notes([]) == ""
    assert markup.notebook("title", "", "").count("<div") == 2
