"""Real servers for tests, benchmarks and whoever wants to kill and restart one: each is a class and a fixture."""
