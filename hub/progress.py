"""A progress bar on standard error, where a person is looking."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

Progress = Callable[[int, float], None]
"""Told how many events so far, and the share that is done, 0–1."""


@contextmanager
def progress_bar(title: str, unit: str = "events") -> Iterator[Progress]:
    """A bar that knows events (or another ``unit``) and share; silent when standard error is no terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TextColumn(f"{{task.fields[events]:,}} {unit}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(title, total=1.0, events=0)

        def tell(events: int, share: float) -> None:
            bar.update(task, completed=share, events=events)

        yield tell
