"""Filters on arrays: each builds a kernel and hands it, with a geometry, to the core."""
