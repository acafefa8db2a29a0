"""Kernels: what one is, and every way to make, name, read, write and measure one."""
