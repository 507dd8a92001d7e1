"""Signs of life on standard error: bars with rate and time left, or now and then a line where there is no terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

LINE_EVERY_S = 15.0


class Reporter(Protocol):
    """Told how far a task is."""

    def __call__(self, done: int, total: int | None = None) -> None: ...


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        if not speed:
            return Text("")
        return Text(f"{speed:.1f}/s" if speed >= 1 else f"{1 / speed:.1f} s each", style="dim")


def console() -> Console:
    """Return the console that everything but results is written to."""
    return Console(stderr=True, highlight=False)


@contextmanager
def task(description: str, total: int, done: int = 0) -> Iterator[Reporter]:
    """Show a task of ``total`` items, ``done`` of them finished before; yields what is told the count done so far."""
    if sys.stderr.isatty():
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), _Rate(), TimeRemainingColumn())
        with Progress(*columns, console=console()) as bar:
            identifier = bar.add_task(_plain(description), total=total, completed=done)
            yield lambda count, new_total=None: bar.update(identifier, completed=count, total=new_total)
    else:
        yield _Lines(description, total, done)


@contextmanager
def task_if_any(description: str) -> Iterator[Callable[[int, int], None]]:
    """Show a task from the first time on that it is told (done, total): for what was mostly done before."""
    with ExitStack() as shown:
        report: Reporter | None = None

        def told(done: int, total: int) -> None:
            nonlocal report
            report = report or shown.enter_context(task(description, total, done))
            report(done)

        yield told


def lines(description: str, unit: int) -> Callable[[int, int], None]:
    """Return what says now and then how far a transfer is, in multiples of ``unit`` bytes."""
    told = _Lines(description, 0, 0)
    return lambda done, total: told(done // unit, total // unit)


def _plain(text: str) -> str:
    # Method names hold brackets, which rich would read as markup.
    return text.replace("[", r"\[")


class _Lines:
    def __init__(self, description: str, total: int, done: int) -> None:
        self.description, self.total, self.first = description, total, done
        self.start = self.last = time.monotonic()

    def __call__(self, done: int, total: int | None = None) -> None:
        self.total, now = total or self.total, time.monotonic()
        finished = 0 < self.total <= done  # of a transfer whose length nobody tells, the total is 0
        if now - self.last < LINE_EVERY_S and not finished:
            return
        self.last = now
        rate = (done - self.first) / max(now - self.start, 1e-9)
        left = f", {(self.total - done) / rate:.0f} s left" if rate > 0 and done < self.total else ""
        of = f" of {self.total}" if self.total else ""
        print(f"{self.description}: {done}{of} ({rate:.2f}/s{left})", file=sys.stderr, flush=True)
