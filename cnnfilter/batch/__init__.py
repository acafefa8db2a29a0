"""Many files: which output each input has, whole-file replacement, and the workers."""
