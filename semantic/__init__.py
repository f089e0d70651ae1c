"""Questions: the catalogue of measures and dimensions, and the only code that writes SQL against events."""
