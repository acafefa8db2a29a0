"""Layers, losses, optimisers and networks, forward and backward."""
