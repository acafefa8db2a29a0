"""Moved to `cnnfilter.files`; the old name goes after 0.2."""

from cnnfilter._moved import forwarded

__getattr__ = forwarded("cnnfilter.imagefile", "cnnfilter.files")
