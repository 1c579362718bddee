# SPDX-License-Identifier: MIT
"""Plots as SVG: the same bytes from the same results, readable on light and dark pages."""
import contextlib

try:
    import matplotlib
    matplotlib.use("svg")
    from matplotlib import pyplot
except ImportError:
    pyplot = None  # the tables are made without plots: see is_available

INK = "#7d8590"
GRID = "#7d859055"
COLOURS = ["#3b82c4", "#d9822b", "#3f9e63", "#b65fb0", "#c9524a", "#8a8f3c", "#5b6ee1", "#3aa3a0", "#a0723f", "#7d8590"]
STYLE = {
    "svg.hashsalt": "heapprof", "svg.fonttype": "none", "font.family": "sans-serif", "font.size": 10,
    "figure.facecolor": "none", "axes.facecolor": "none", "savefig.facecolor": "none", "legend.frameon": False,
    "text.color": INK, "axes.edgecolor": INK, "axes.labelcolor": INK, "xtick.color": INK, "ytick.color": INK,
    "axes.grid": True, "grid.color": GRID, "axes.spines.top": False, "axes.spines.right": False, "axes.axisbelow": True,
}


def is_available():
    return pyplot is not None


@contextlib.contextmanager
def figure(path, columns=1, width_in=7.5, height_in=3.6):
    """Yields the axes (a list when there are several columns), then writes the file."""
    with matplotlib.rc_context({**STYLE, "axes.prop_cycle": matplotlib.cycler(color=COLOURS)}):
        made, axes = pyplot.subplots(1, columns, figsize=(width_in, height_in), layout="constrained")
        yield axes
        made.savefig(path, format="svg", metadata={"Date": None, "Creator": None})
        pyplot.close(made)


def lines(axes, series, x_label, y_label, log_x=False, log_y=False):
    """series: {label: [(x, y or a summary)]}; a summary's quartiles become a band."""
    for label, points in series.items():
        x = [point[0] for point in points]
        middle = [point[1]["median"] if isinstance(point[1], dict) else point[1] for point in points]
        line, = axes.plot(x, middle, marker="o", markersize=3.5, label=label)
        if all(isinstance(point[1], dict) for point in points):
            axes.fill_between(x, [point[1]["low"] for point in points], [point[1]["high"] for point in points],
                              color=line.get_color(), alpha=0.2, linewidth=0)
    axes.set(xlabel=x_label, ylabel=y_label, **({"xscale": "log"} if log_x else {}), **({"yscale": "log"} if log_y else {}))
    axes.legend()


def dots(axes, rows, x_label, log=False, mark=None):
    """rows: [(label, value or summary)], from top to bottom; a summary's quartiles become a bar. mark: a line at the goal."""
    for place, (_, value) in enumerate(rows):
        middle = value["median"] if isinstance(value, dict) else value
        if isinstance(value, dict):
            axes.plot([value["low"], value["high"]], [place, place], color=COLOURS[place % len(COLOURS)], linewidth=3, alpha=0.4)
        axes.plot([middle], [place], "o", color=COLOURS[place % len(COLOURS)])
        axes.annotate(f"{middle:.3g}", (middle, place), textcoords="offset points", xytext=(0, 6), ha="center", fontsize=8)
    if mark is not None:
        axes.axvline(mark, color=INK, linestyle="--", linewidth=1)
    axes.set_yticks(range(len(rows)), [label for label, _ in rows])
    axes.set_ylim(len(rows) - 0.4, -0.7)
    axes.set(xlabel=x_label, **({"xscale": "symlog"} if log else {}))
