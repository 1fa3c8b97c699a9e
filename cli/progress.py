"""Progress of things that take longer than two seconds: a bar on a terminal, a line each elsewhere."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Self

from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import TaskID


class Steps:
    """One step after another, each with its time, the longer ones with a bar and the time left."""

    def __init__(self, console: Console) -> None:
        """Show on `console`; where it is no terminal, each finished step is one line."""
        self._console = console
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task: TaskID | None = None
        self._began = time.monotonic()

    def __enter__(self) -> Self:
        """Begin to show."""
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End; the terminal is as before."""
        self._progress.stop()

    def begin(self, what: str, *, total: float | None = None) -> None:
        """Begin a step; without `total` its length is not known."""
        self._began = time.monotonic()
        self.then(what, total=total)

    def then(self, what: str, *, total: float | None = None) -> None:
        """Go on with the next part of the same step."""
        self._end()
        self._task = self._progress.add_task(what, total=total)
        if not self._console.is_terminal:
            self._console.print(f"{what} …")

    def advance(self, amount: float) -> None:
        """Go on within the step."""
        if self._task is not None:
            self._progress.advance(self._task, amount)

    def at(self, completed: float, what: str) -> None:
        """Set how far the step is, and say what it does."""
        if self._task is not None:
            self._progress.update(self._task, completed=completed, description=what)

    def component(self, component: str, step: str, done: int, total: int, /) -> None:
        """Show how far a component's set-up is; fits `cli.stack.components.Progress`."""
        if self._task is not None:
            self._progress.update(self._task, description=f"{component}: {step}", completed=done, total=total or None)

    def done(self, what: str) -> None:
        """End the step with what it gave."""
        took_s = time.monotonic() - self._began
        self._end()
        self._console.print(f"✓ {what} ({took_s:.1f} s)")

    def _end(self) -> None:
        if self._task is not None:
            self._progress.remove_task(self._task)
            self._task = None
