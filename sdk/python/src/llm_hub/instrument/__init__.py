"""Instrumentation of the packages that call models: one line to put on, one to take off."""
