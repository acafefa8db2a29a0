"""How a kernel meets an image: one module for each method, all for the same promise."""
