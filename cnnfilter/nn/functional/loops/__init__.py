"""The bare loops of layers. A loop is a factory, as those of the core are."""
