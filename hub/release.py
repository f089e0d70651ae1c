"""Which version this is."""

from importlib.metadata import PackageNotFoundError, version


def release() -> str:
    """The version that is installed; a checkout that is not installed says so."""
    try:
        return version("llm-analytics-hub")
    except PackageNotFoundError:
        return "0+checkout"
