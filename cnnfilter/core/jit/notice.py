"""Where those who have somebody to tell hear that a loop is being compiled, which takes a second or more."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

around: Callable[[], AbstractContextManager[None]] = nullcontext
"""Makes what is entered while a loop is compiled."""
