"""Draws ratios as bars, each with the marks it must and should reach."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .results import Ratio

__all__ = ["draw"]

_COLOURS = {
    "goal": "#14776a",
    "must": "#6cb8a6",
    "MISSED": "#d1603d",
    "below goal": "#e3b34f",
    "": "#a9bbc9",
}
_INK, _GREY = "#22303c", "#6b7a86"
_TITLES = {
    "peer": "How many times faster than …",
    "limit": "How much of what is possible",
    "threads": "All threads against one",
    "bound": "How many times below the bound",
}
_MUST, _GOAL = "must", "goal"


def draw(ratios: Sequence[Ratio], machine: Mapping[str, str], name: Path) -> None:
    """Write a picture of the ratios: peers on the left, all else on the right."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    panels = {kind: [r for r in ratios if r.kind == kind] for kind in _TITLES}
    right = [kind for kind in ("limit", "threads", "bound") if panels[kind]]
    heights = {kind: _height(panels[kind]) for kind in _TITLES}
    tall = max(heights["peer"], sum(heights[kind] for kind in right))
    with plt.rc_context({"font.size": 9, "text.color": _INK, "axes.labelcolor": _INK}):
        figure = plt.figure(figsize=(15, 0.235 * tall + 1.4), layout="constrained")
        ratios_of_heights = [heights[kind] for kind in right] or [1.0]
        grid = figure.add_gridspec(len(ratios_of_heights), 2, height_ratios=ratios_of_heights)
        places = {"peer": grid[:, 0]} | {kind: grid[k, 1] for k, kind in enumerate(right)}
        for kind, place in places.items():
            if panels[kind]:
                axis = figure.add_subplot(place)
                _bars(axis, panels[kind], is_log=kind in ("peer", "bound"))
                axis.set_title(_TITLES[kind], loc="left", fontsize=12, fontweight="bold")
        figure.legend(
            handles=_marks(), loc="outside upper center", ncols=7, frameon=False, fontsize=9.5
        )
        keys = ("cxistack", "CPU", "cores", "SIMD", "h5py", "HDF5", "hdf5plugin", "numpy")
        told = ", ".join(f"{key} {machine[key]}" for key in keys if key in machine)
        figure.supxlabel(told, fontsize=8.5, color=_GREY)
        figure.savefig(name, dpi=120, facecolor="white")
        plt.close(figure)


def _height(ratios: Sequence[Ratio]) -> float:
    return len(ratios) + len({ratio.stored for ratio in ratios}) + 2.5


def _marks() -> list[Any]:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    told = {
        "goal": "goal reached",
        "must": "must reached",
        "MISSED": "must missed",
        "below goal": "below its goal",
        "": "for comparison",
    }
    return [
        *(Patch(color=_COLOURS[verdict], label=text) for verdict, text in told.items()),
        Line2D([], [], color=_INK, marker="|", markersize=10, mew=2, ls="", label=_MUST),
        Line2D([], [], color=_INK, marker="D", mfc="white", markersize=5, ls="", label=_GOAL),
    ]


def _bars(axis: Any, ratios: Sequence[Ratio], *, is_log: bool) -> None:
    marks = [m for r in ratios for m in (r.value, r.must, r.goal) if m is not None]
    low = min(0.7, 0.9 * min(marks)) if is_log else 0.0
    high = max(marks) * (2.0 if is_log else 1.12)
    if is_log:
        axis.set_xscale("log")
        axis.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    labels = []
    place = 0
    for stored, group in itertools.groupby(ratios, key=lambda ratio: ratio.stored):
        if stored != "-":
            axis.annotate(
                "no filter" if stored == "none" else stored,
                (0, place),
                xytext=(-6, 0),
                xycoords=("axes fraction", "data"),
                textcoords="offset points",
                ha="right",
                va="center",
                fontweight="bold",
            )
            place += 1
        for ratio in group:
            is_told = ratio.against == "1 thread" or ratio.case.startswith("peak memory")
            told = "" if is_told else f"  ·  {ratio.against}"
            labels.append((place, f"{ratio.case}{told}"))
            _bar(axis, place, ratio, low)
            place += 1
    axis.axvline(1, color=_INK, lw=0.8, ls=(0, (4, 3)), zorder=0.5)
    axis.set_yticks([at for at, _ in labels], [text for _, text in labels])
    axis.set_ylim(place - 0.4, -0.6)
    axis.set_xlim(low, high)
    axis.tick_params(axis="y", length=0, labelcolor=_INK)
    axis.tick_params(axis="x", colors=_GREY)
    axis.grid(axis="x", color="#e3e8ec", lw=0.7)
    axis.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axis.spines[side].set_visible(False)
    axis.spines["bottom"].set_color("#c4ced6")


def _bar(axis: Any, place: int, ratio: Ratio, low: float) -> None:
    axis.barh(place, ratio.value - low, left=low, height=0.74, color=_COLOURS[ratio.verdict])
    if ratio.must is not None:
        axis.plot([ratio.must] * 2, [place - 0.45, place + 0.45], color=_INK, lw=2)
    if ratio.goal is not None:
        axis.plot(ratio.goal, place, "D", color=_INK, mfc="white", ms=4.5)
    end = max(m for m in (ratio.value, ratio.must, ratio.goal) if m is not None)
    axis.annotate(
        f"{ratio.value:.2f}" if ratio.value < 10 else f"{ratio.value:.0f}",
        (end, place),
        xytext=(7, 0),
        textcoords="offset points",
        va="center",
        fontsize=8.5,
    )
