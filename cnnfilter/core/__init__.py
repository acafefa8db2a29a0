"""Arrays only: kernels, geometry, plans and the compiled loops."""
