"""What holds for all tests."""

from hypothesis import settings

# How long an example takes says how busy the machine is, and at first that a loop is compiled.
settings.register_profile("cnnfilter", deadline=None)
settings.load_profile("cnnfilter")
