"""Plots of what the other benchmarks wrote with `--out`; needs the extra `bench`.

python benchmarks/plot.py --first-stages first_stages.json --storage storage.json --folder benchmarks/results
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import matplotlib

matplotlib.use("svg")
# Text stays text, and two runs over the same figures write the same file.
matplotlib.rcParams |= {"svg.fonttype": "none", "svg.hashsalt": "osmv", "font.size": 9}
from matplotlib import pyplot as plt  # noqa: E402


def first_stages(figures: dict[str, dict[str, float]], folder: Path) -> None:
    """Candidates found against the engine's time."""
    fig, ax = plt.subplots(figsize=(7, 4.2), layout="constrained")
    for name, row in figures.items():
        xs, y = [row["top_10_in_100"], row["top_10_in_300"]], row["took_ms_p50"]
        (line,) = ax.plot(xs, [y, y], "o-", markersize=4)
        ax.plot(xs[1:], [y], "s", markersize=5, color=line.get_color())
        ax.annotate(name, (xs[0], y), xytext=(-5, 0), textcoords="offset points", ha="right", va="center")
    ax.set_xlabel("share of exact MaxSim's top 10 among 100 (circle) and 300 (square) candidates")
    ax.set_ylabel("took, ms (p50)")
    ax.margins(x=0.25)
    ax.grid(alpha=0.3)
    save(fig, folder / "first_stages.svg")


def storage(figures: dict[str, dict[str, float]], folder: Path) -> None:
    """Effectiveness against bytes a document."""
    fig, ax = plt.subplots(figsize=(7, 4.2), layout="constrained")
    for name, row in figures.items():
        if "ndcg_cut_10" not in row:
            ax.axvline(row["store_bytes"], linestyle=":", color="grey")
            place = {"xy": (row["store_bytes"], 0.05), "xycoords": ax.get_xaxis_transform()}
            ax.annotate(name, **place, rotation=90, va="bottom", ha="right")
            continue
        ax.plot(row["store_bytes"], row["ndcg_cut_10"], "o", markersize=4)
        ax.annotate(name, (row["store_bytes"], row["ndcg_cut_10"]), xytext=(4, 3), textcoords="offset points")
    ax.set_xlabel("store, bytes a document")
    ax.set_ylabel("nDCG@10")
    ax.set_xscale("log")
    ax.margins(x=0.15, y=0.15)
    ax.grid(alpha=0.3)
    save(fig, folder / "storage.svg")


def save(fig: plt.Figure, path: Path) -> None:
    fig.savefig(path, metadata={"Date": None})
    plt.close(fig)
    print(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--first-stages", type=Path)
    parser.add_argument("--storage", type=Path)
    parser.add_argument("--folder", type=Path, default=Path("benchmarks/results"))
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    for path, plot in ((arguments.first_stages, first_stages), (arguments.storage, storage)):
        if path:
            plot(json.loads(path.read_text()), arguments.folder)


if __name__ == "__main__":
    main()
