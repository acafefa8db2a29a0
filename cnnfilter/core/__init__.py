"""Arrays only: geometry, plans and the compiled loops."""
