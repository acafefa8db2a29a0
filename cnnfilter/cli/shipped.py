"""``cnnfilter learned --list``: the filters that come with the tool."""

import click

from cnnfilter.learning.learnedfilter import LearnedFilter
from cnnfilter.learning.shipped import shipped_filter, shipped_names


def list_filters() -> None:
    """Print a line for each: what it is for, what it costs, and what was measured of it."""
    for name in shipped_names():
        learned = shipped_filter(name)
        click.echo(f"{name:<14}{learned.notes['purpose']}")
        gains = [f"{row['spoiled']}: {row['before']} -> {row['after']} dB" for row in learned.notes["gains"]]
        click.echo(f"{'':<14}{_work(learned):.0f}k multiply-adds a pixel; {', '.join(gains)}")


def _work(learned: LearnedFilter) -> float:
    """Return thousands of multiply-adds for each pixel."""
    return sum(layer.weights.size for layer in learned.layers) / learned.block**2 / 1000
