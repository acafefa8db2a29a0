"""The bare loops, one room each; they know pointers and numbers, no policy."""
