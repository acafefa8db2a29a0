"""Measurements beside other libraries. Run ``python -m benchmarks --help``."""
