"""Online detectors and forecasters: the room is kept for "It sees trouble first"."""
