"""Drawings for files: the only package that imports matplotlib, and only when something is drawn."""
