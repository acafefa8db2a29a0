"""How each network is trained unless one says otherwise: the defaults of ``cnnfilter net train``."""

from dataclasses import replace
from typing import Any

from cnnfilter.nn.fit import Settings

# Found by cross-validation on those of scikit-learn's digits that benchmarks/digits.py never holds out.
RECIPES: dict[str, Settings] = {
    "lenet5": Settings(epochs=200, rate=0.003, shift=1.5, angle=8.0, scale=0.08),
    "lenet5-modern": Settings(epochs=40, rate=0.002, shift=1.5, angle=8.0, scale=0.08),
    "resnet20": Settings(epochs=8, rate=0.004, shift=1.5, angle=8.0, scale=0.08),
    "highway": Settings(epochs=150, rate=0.002, shift=2.0, angle=10.0, scale=0.1),
    "highway-convolutional": Settings(epochs=20, rate=0.003, shift=1.5, angle=8.0, scale=0.08),
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
    40
    """
    given = {key: value for key, value in changes.items() if value is not None}
    return replace(RECIPES.get(name, Settings()), **given)
