"""Filters learned from before/after pairs: least squares, descent, and small stacks of layers."""
