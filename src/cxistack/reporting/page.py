"""The page of a report: HTML and CSS without a network, light or dark, on a phone or on paper."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from string import Template
from typing import NamedTuple

from ..markup import embedded, escaped, table
from ..pictures.colours import gradient

__all__ = [
    "Shot",
    "curve",
    "grid",
    "page",
    "paragraphs",
    "section",
    "shot",
    "wide_table",
]


class Shot(NamedTuple):
    """A picture of pixels, the ends of its scale, and what it shows.

    Attributes
    ----------
    png : bytes
        The picture.
    title : str
        What it is.
    scale : (str, str, str) or None
        The values of the lowest and the highest colour, and what they are.
    caption : str
        Sentences below it.
    """

    png: bytes
    title: str
    scale: tuple[str, str, str]
    caption: str


_PAGE = Template("""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>$title</title>
<style>
:root{--back:#fff;--card:#f6f7f9;--ink:#1d2127;--dim:#5a6472;--line:#d9dde3;--bad:#b3261e;
--badback:#fdecea}
@media screen and (prefers-color-scheme:dark){:root{--back:#14171b;--card:#1c2026;--ink:#e4e7eb;
--dim:#a0a9b5;--line:#353c46;--bad:#ff8a80;--badback:#3a1e1c}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:1320px;padding:1.2rem clamp(.8rem,3vw,2.4rem) 3rem;
background:var(--back);color:var(--ink);
font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
h1{font-size:1.5rem;line-height:1.25;margin:.4rem 0;overflow-wrap:anywhere}
h2{font-size:1.12rem;margin:2rem 0 .6rem;padding-bottom:.25rem;border-bottom:1px solid var(--line)}
h3{font-size:.95rem;margin:0 0 .5rem}
p{margin:.4rem 0;overflow-wrap:anywhere}
.dim,figcaption,footer{color:var(--dim)}
.wide{overflow-x:auto}
@media screen{.wide wbr{display:none}}
table{border-collapse:collapse;font-size:.88rem}
th,td{text-align:left;vertical-align:top;padding:.3em 1em .3em 0;
border-bottom:1px solid var(--line);white-space:nowrap;font-variant-numeric:tabular-nums}
th{color:var(--dim);font-weight:600}
.bad{margin:.6rem 0;padding:.7rem 1rem;background:var(--badback);border-left:4px solid var(--bad);
overflow-wrap:anywhere}
.bad p{margin:.25rem 0}
.grid{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,21rem),1fr));gap:1.2rem}
figure{margin:0;padding:.9rem;background:var(--card);border:1px solid var(--line);border-radius:6px;
max-width:44rem}
figure img{display:block;max-width:100%;height:auto;margin:0 auto}
figure .pixels{width:100%;max-width:38rem}
figcaption{font-size:.85rem;margin-top:.5rem}
figure .on-dark{display:none}
@media screen and (prefers-color-scheme:dark){figure .on-dark{display:block}
figure .on-light{display:none}}
.scale{display:grid;grid-template-columns:auto 1fr auto;gap:.6em;align-items:center;
margin-top:.6rem;font-size:.85rem;font-variant-numeric:tabular-nums}
.bar{height:.8em;border-radius:2px;background:$gradient;print-color-adjust:exact;
-webkit-print-color-adjust:exact}
pre{font:12px/1.5 ui-monospace,Menlo,Consolas,monospace;white-space:pre-wrap;overflow-wrap:anywhere;
background:var(--card);border:1px solid var(--line);border-radius:6px;padding:.8rem;margin:0}
summary{cursor:pointer;color:var(--dim);padding:.3rem 0}
footer{margin-top:2.5rem;font-size:.82rem}
@media print{body{max-width:none;padding:0;font-size:10pt}figure,tr,.bad{break-inside:avoid}
h2{break-after:avoid}figcaption,.scale{font-size:7pt}figure{padding:.4rem}.grid{grid-template-columns:repeat(3,1fr);gap:.5rem}.wide{overflow:visible}
table{font-size:7.5pt}th,td{white-space:normal}
figure .pixels{max-width:100%}pre{font-size:7.5pt}}
</style>
</head>
<body>
<header>
<h1>$title</h1>
$lead
</header>
<main>
$sections
</main>
<footer>$foot</footer>
</body>
</html>
""")


def page(title: str, lead: Iterable[str], sections: Iterable[str], foot: str) -> str:
    """Return the whole page; `lead` and `foot` are texts, `sections` are HTML."""
    words = {
        "title": escaped(title),
        "lead": "".join(f'<p class="dim">{escaped(text)}</p>' for text in lead),
        "sections": "\n".join(sections),
        "foot": escaped(foot),
        "gradient": gradient(),
    }
    return _PAGE.substitute(words)


def section(name: str, title: str, *parts: str) -> str:
    """Return a part of the page with its heading; nothing where it has nothing to show."""
    body = "\n".join(part for part in parts if part)
    return f'<section id="{name}"><h2>{escaped(title)}</h2>\n{body}\n</section>' if body else ""


def paragraphs(texts: Iterable[object], *, are_bad: bool = False) -> str:
    """Return sentences; those of what is wrong are set apart."""
    lines = "".join(f"<p>{escaped(text)}</p>" for text in texts)
    return f'<div class="bad">{lines}</div>' if lines and are_bad else lines


def wide_table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table that a narrow page scrolls."""
    return f'<div class="wide" tabindex="0">{table(head, rows)}</div>'


def grid(figures: Iterable[str]) -> str:
    """Return figures side by side, as many as there is room for."""
    body = "\n".join(figures)
    return f'<div class="grid">{body}</div>' if body else ""


def shot(one: Shot) -> str:
    """Return a picture of pixels with its scale."""
    low, high, what = map(escaped, one.scale)
    return (
        f'<figure><h3>{escaped(one.title)}</h3><img class="pixels" src="{embedded(one.png)}" '
        f'alt="{escaped(f"{one.title}: {one.caption}")}">'
        f'<div class="scale"><span>{low}</span><span class="bar"></span><span>{high} {what}</span>'
        f"</div><figcaption>{escaped(one.caption)}</figcaption></figure>"
    )


def curve(title: str, light: bytes, dark: bytes, caption: str) -> str:
    """Return a plot, of which the page shows the one that suits it; paper is light."""
    both = "".join(
        f'<img class="{name}" src="{embedded(png)}" alt="{escaped(caption)}">'
        for name, png in (("on-light", light), ("on-dark", dark))
    )
    return (
        f"<figure><h3>{escaped(title)}</h3>{both}"
        f"<figcaption>{escaped(caption)}</figcaption></figure>"
    )
