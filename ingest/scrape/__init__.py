"""Serving workers that the hub asks itself, when the operator's settings name them."""
