"""Settings of the broker's tests."""

from hypothesis import settings

# Shared machines stall for seconds: a deadline would only measure the neighbours.
settings.register_profile("broker", deadline=None, max_examples=60)
settings.load_profile("broker")
