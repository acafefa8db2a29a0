"""How each network is trained unless one says otherwise: the defaults of ``cnnfilter net train``."""

from dataclasses import replace
from typing import Any

from cnnfilter.nn.fit import Settings

RECIPES: dict[str, Settings] = {
    "lenet5": Settings(epochs=60, rate=0.005, shift=1.0, angle=5.0, scale=0.05),
    "lenet5-modern": Settings(epochs=20, rate=0.002, shift=1.5, angle=8.0, scale=0.08),
    "resnet20": Settings(epochs=6, rate=0.004, shift=1.0, angle=5.0, scale=0.05),
    "highway": Settings(epochs=40, rate=0.002, shift=1.0, angle=5.0, scale=0.05),
    "highway-convolutional": Settings(epochs=12, rate=0.003, shift=1.0, angle=5.0, scale=0.05),
}


def recipe(name: str, **changes: Any) -> Settings:
    """Return the settings of a network, with changes; those of `Settings` where it has none of its own.

    Parameters
    ----------
    name : str
        Of a network.
    **changes
        Attributes of `Settings`; None leaves the recipe's.

    Examples
    --------
    >>> recipe("lenet5-modern", seed=3, epochs=None).epochs
    20
    """
    given = {key: value for key, value in changes.items() if value is not None}
    return replace(RECIPES.get(name, Settings()), **given)
