"""Draws ratios as bars, each with the marks it must and should reach."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .timing import Ratio

__all__ = ["draw"]

_COLOURS = {"goal": "#1b7f6b", "must": "#5fb3a1", "below goal": "#9db4c6", "": "#9db4c6"}
_MISSED = "#d1603d"
_INK = "#22303c"


def draw(ratios: Sequence[Ratio], machine: Mapping[str, str], name: Path) -> None:
    """Write a picture of the ratios: peers on a logarithmic axis, limits on a linear one."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    peers = [ratio for ratio in ratios if not ratio.limit]
    limits = [ratio for ratio in ratios if ratio.limit]
    panels = [panel for panel in (peers, limits) if panel]
    if not panels:
        return
    rows = [len(panel) + 2.5 for panel in panels]
    with plt.rc_context({"font.size": 9, "text.color": _INK, "axes.labelcolor": _INK}):
        figure, axes = plt.subplots(
            len(panels),
            1,
            figsize=(11, 0.25 * sum(rows) + 1.6),
            height_ratios=rows,
            squeeze=False,
            layout="constrained",
        )
        for axis, panel in zip(axes[:, 0], panels, strict=True):
            _bars(axis, panel, is_log=panel is peers)
            axis.set_title(
                "Times faster than ..." if panel is peers else "Share of what is possible: ...",
                loc="left",
                fontsize=11,
                fontweight="bold",
            )
        marks = [
            Patch(color=_COLOURS["goal"], label="goal reached"),
            Patch(color=_COLOURS["must"], label="must reached"),
            Patch(color=_MISSED, label="must missed"),
            Patch(color=_COLOURS[""], label="goal not reached, or none set"),
            Line2D([], [], color=_INK, marker="|", markersize=9, mew=2, ls="", label="must"),
            Line2D(
                [], [], color=_INK, marker="D", mfc="white", markersize=4.5, ls="", label="goal"
            ),
        ]
        figure.legend(
            handles=marks, loc="outside upper center", ncols=len(marks), frameon=False, fontsize=8.5
        )
        keys = ("cxistack", "CPU", "cores", "SIMD", "h5py", "HDF5", "hdf5plugin", "numpy")
        told = ", ".join(f"{key} {machine[key]}" for key in keys if key in machine)
        figure.supxlabel(told, fontsize=7.5, color="#66747f")
        figure.savefig(name, dpi=150, facecolor="white")
        plt.close(figure)


def _bars(axis: Any, ratios: Sequence[Ratio], *, is_log: bool) -> None:
    colours = [
        _MISSED if ratio.verdict == "MISSED" else _COLOURS[ratio.verdict] for ratio in ratios
    ]
    places = list(range(len(ratios)))
    marks = [m for r in ratios for m in (r.value, r.must, r.goal) if m is not None]
    low = min(0.8, 0.9 * min(marks)) if is_log else 0.0
    high = max(marks) * (2.2 if is_log else 1.12)
    if is_log:
        axis.set_xscale("log")
        axis.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axis.barh(places, [r.value - low for r in ratios], left=low, height=0.72, color=colours)
    for place, ratio in zip(places, ratios, strict=True):
        if ratio.must is not None:
            axis.plot([ratio.must] * 2, [place - 0.42, place + 0.42], color=_INK, lw=2)
        if ratio.goal is not None:
            axis.plot(ratio.goal, place, "D", color=_INK, mfc="white", ms=4.5)
        end = max(m for m in (ratio.value, ratio.must, ratio.goal) if m is not None)
        axis.annotate(
            f"{ratio.value:.2f}" if ratio.value < 10 else f"{ratio.value:.0f}",
            (end, place),
            xytext=(7, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
        )
    axis.axvline(1, color=_INK, lw=0.8, ls=(0, (4, 3)), zorder=0)
    axis.set_yticks(places, [_label(ratio) for ratio in ratios], fontsize=8)
    axis.set_ylim(len(ratios) - 0.4, -0.6)
    axis.set_xlim(low, high)
    axis.tick_params(axis="y", length=0)
    axis.grid(axis="x", color="#dfe5ea", lw=0.7)
    axis.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axis.spines[side].set_visible(False)


def _label(ratio: Ratio) -> str:
    stored = f"{ratio.stored}, " if ratio.stored != "-" else ""
    return f"{stored}{ratio.case} · {ratio.against}"
