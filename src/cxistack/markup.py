"""HTML that notebooks and reports show: escaped text, tables, notes, pictures within the page."""

from __future__ import annotations

import base64
import html
from collections.abc import Iterable, Sequence

__all__ = ["embedded", "escaped", "figure", "notebook", "notes", "preformatted", "table"]

# Colours are those of the text around it, mixed with what is behind: so it is dark where a notebook
# is dark, whatever the system prefers. JupyterLab says its colours; a page without such variables
# follows the system. Twice the class: the notebook's own rules for tables come before ours then.
_STYLE = """<style>
.cxistack{--line:var(--jp-border-color2,color-mix(in srgb,currentColor 22%,transparent));
--dim:var(--jp-content-font-color2,color-mix(in srgb,currentColor 68%,transparent));--bad:#c4320a;
color:var(--jp-content-font-color1,inherit);
font:13px/1.45 var(--jp-content-font-family,system-ui,sans-serif);
display:flex;flex-wrap:wrap;gap:.4em 1.6em;align-items:flex-start}
@media (prefers-color-scheme:dark){.cxistack{--bad:#ff8a65}}
.cxistack .head{flex:1 0 100%;font-weight:600;overflow-wrap:anywhere}
.cxistack .body{min-width:0;max-width:100%;overflow-x:auto}
.cxistack.cxistack table{margin:0;border-collapse:collapse;border:0;font-size:inherit;
color:inherit}
.cxistack.cxistack th,.cxistack.cxistack td{text-align:left;vertical-align:top;
padding:.15em .8em .15em 0;border:0;border-bottom:1px solid var(--line);
background:none;white-space:nowrap}
.cxistack.cxistack th{color:var(--dim);font-weight:600}
.cxistack.cxistack td:last-child{white-space:normal;overflow-wrap:break-word}
.cxistack.cxistack ul{flex:1 0 100%;margin:.2em 0;padding:0;list-style:none;overflow-wrap:anywhere}
.cxistack.cxistack li{margin:.15em 0;padding:0 0 0 .6em;
border-left:3px solid var(--line);color:var(--dim)}
.cxistack.cxistack li.bad{border-color:var(--bad);color:inherit}
.cxistack.cxistack pre{margin:0;padding:0;background:none;color:inherit;font-size:12px;
white-space:pre-wrap;overflow-wrap:anywhere}
.cxistack figure{margin:0;max-width:16em}
.cxistack figcaption{color:var(--dim);font-size:11px}
.cxistack img{display:block;max-width:100%;image-rendering:pixelated}
</style>"""


def escaped(text: object) -> str:
    """Return text as HTML shows it; bytes of a name that is no UTF-8 as hexadecimal numbers."""
    plain = str(text).encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return html.escape(plain)


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table of texts.

    Examples
    --------
    >>> table(["name"], [["a<b"]])
    '<table><thead><tr><th>name</th></tr></thead><tbody><tr><td>a&lt;b</td></tr></tbody></table>'
    """
    names = "".join(f"<th>{escaped(name)}</th>" for name in head)
    lines = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    top = f"<thead><tr>{names}</tr></thead>" if names else ""
    return f"<table>{top}<tbody>{lines}</tbody></table>"


def _cell(text: object) -> str:
    return f"<td>{escaped(text).replace('/', '/<wbr>')}</td>"  # where paths may be broken


def notes(texts: Iterable[object], *, are_bad: bool = False) -> str:
    """Return sentences, a line each; nothing of none."""
    mark = ' class="bad"' if are_bad else ""
    lines = "".join(f"<li{mark}>{escaped(text)}</li>" for text in texts)
    return f"<ul>{lines}</ul>" if lines else ""


def preformatted(text: str) -> str:
    """Return lines as they are."""
    return f"<pre>{escaped(text)}</pre>"


def embedded(png: bytes) -> str:
    """Return the address of a picture that is part of the page."""
    return f"data:image/png;base64,{base64.b64encode(png).decode('ascii')}"


def figure(png: bytes, caption: str, width: int | None = None) -> str:
    """Return a picture with what it shows, which is also read to who cannot see it."""
    size = f' width="{width}"' if width else ""
    return (
        f'<figure><img src="{embedded(png)}" alt="{escaped(caption)}"{size}>'
        f"<figcaption>{escaped(caption)}</figcaption></figure>"
    )


def notebook(title: str, *parts: str) -> str:
    """Return what a notebook shows of an object: its title, and parts that are HTML."""
    body = "".join(
        part if part.startswith(("<ul>", "<figure>")) else f'<div class="body">{part}</div>'
        for part in parts
        if part
    )
    return f'{_STYLE}<div class="cxistack"><div class="head">{escaped(title)}</div>{body}</div>'
