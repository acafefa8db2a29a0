"""Convolution to look at: the arithmetic of one value, animations, and a page to play with."""
