"""The table as a picture: a bar for each row."""

from pathlib import Path
from typing import Any


def draw(rows: list[dict[str, Any]], path: Path) -> None:
    """Draw the ratios of the first peer, its threads side by side."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    peer = rows[0]["peer"]
    rows = [row for row in rows if row["peer"] == peer]
    names = list(dict.fromkeys(row["case"] for row in rows))
    counts = sorted({row["threads"] for row in rows})
    figure, axes = plt.subplots(figsize=(9, 1 + 0.22 * len(names)), layout="constrained")
    for index, threads in enumerate(counts):
        ratio = {row["case"]: row["ratio"] for row in rows if row["threads"] == threads}
        places = [place + (index - (len(counts) - 1) / 2) * 0.38 for place in range(len(names))]
        label = f"{threads} thread{'s' if threads > 1 else ''}"
        axes.barh(places, [ratio.get(name, 0) for name in names], 0.36, label=label)
    axes.set_yticks(range(len(names)), names, fontsize=7)
    axes.invert_yaxis()
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_xlabel(f"time of {peer} over time of cnnfilter (above 1: cnnfilter is faster)")
    axes.legend(loc="lower right")
    figure.savefig(path, dpi=110)
    plt.close(figure)
