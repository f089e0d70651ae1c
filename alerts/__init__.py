"""From signals to people: the room is kept for "Alerts that people trust"."""
