"""Filters: each in a file of its own, its function on arrays and its object for chains of filters."""
