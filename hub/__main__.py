"""``python -m hub``: the same as ``llm-hub``."""

from hub.cli import main

main()
