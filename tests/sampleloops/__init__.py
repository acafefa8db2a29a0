"""Small loops, for the tests of how loops are compiled and kept."""
