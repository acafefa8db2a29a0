"""The one place where the version is written; importing it costs nothing."""

__version__ = "0.2.0"
