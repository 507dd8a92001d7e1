"""Published tables: data files that keep every number as it was printed, with its source and how sure it is."""

from __future__ import annotations

import tomllib
from importlib.resources import files
from typing import Annotated, Literal, NamedTuple

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from ..core.errors import BenchError
from ..core.registry import suggest

Sure = Literal["paper", "article", "translation", "secondary", "recalled"]

SURE: dict[Sure, str] = {
    "paper": "read in the paper itself",
    "article": "read in an article about the paper, not checked against the paper",
    "translation": "read in a translation of the article, which is all that is published",
    "secondary": "quoted by others, not checked against the paper",
    "recalled": "recalled, not confirmed",
}
"""How sure a published number is, in words."""

WORDS = ("yes", "no")


class Entry(NamedTuple):
    """What a published entry says."""

    text: str
    value: float | str | None
    """The number, or the word; None for a range."""
    interval: tuple[float, float] | None = None
    """The ends of a range."""
    spread: str = ""
    """What is printed behind ±."""


def entry(printed: str) -> Entry:
    """Read a published entry: ``0.35``, ``0.35±0.14``, ``23.01..23.95``, ``yes`` or ``no``.

    Raises ValueError for anything else.
    """
    if printed in WORDS:
        return Entry(printed, printed)
    low, dots, high = printed.partition("..")
    if dots:
        if not float(low) <= float(high):
            raise ValueError(f"'{printed}' is no range")
        return Entry(f"{low}–{high}", None, (float(low), float(high)))
    text, sign, spread = printed.partition("±")
    if sign:
        float(spread)
    return Entry(text, float(text), spread=spread)


def _printed(text: str) -> str:
    entry(text)
    return text


Printed = Annotated[str, AfterValidator(_printed)]
"""An entry as text, so that its digits stay as printed (see ``entry``)."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Conditions(_Part):
    """What numbers are of and under which conditions they were made; None where that is not known, or does not matter.

    Measured rows are held against it (see ``reports.comparable``).
    """

    dataset: str | None = None
    """The dataset by our name for it."""
    pictures: str | None = None
    """In words where we have no name for it: ``5,000 pictures of people, not released``."""
    n: int | None = None
    identity: list[str] = []
    """Parts that the identity of a metric must have: its extractor, its resize."""
    weights: list[str] = []
    """Names of the checkpoint of the base, any of which will do."""
    size: str | None = None
    scheduler: str | None = None
    steps: int | None = None
    guidance: float | None = None
    dtype: str | None = None
    device: str | None = None
    """Part of the name that the device has for itself: ``V100``."""
    unmet: str | None = None
    """What of it no run of ours meets: numbers can be compared, and are never reproduced."""


class Protocol(Conditions):
    """How the numbers were made, as far as it is known."""

    text: str


class Ours(Conditions):
    """Which rows of ours a published one is, and under which settings of its own."""

    method: str
    """The name of a method, without options."""


class PublishedColumn(_Part):
    """One quantity of a published table."""

    title: str
    unit: str = ""
    higher_is_better: bool | None = None
    """None for what is neither good nor bad in itself, such as latent channels: a fact, not a result."""
    gap: str | None = None
    """What the sources leave open about this quantity."""
    shows: str | None = None
    """The quantity of ours that it is, where its own key is not that: seconds on two devices are two columns."""
    protocol: Conditions = Conditions()
    """Where it differs from that of the table."""
    band: float | None = Field(default=None, ge=0)
    """How far a measured number may be from a published one that it reproduces, in the unit of both."""
    spread: str | None = None
    """What ± is in the published entries."""


class PublishedRow(_Part):
    """One method of a published table."""

    method: str
    values: dict[str, Printed]
    """By column, in the unit of the column."""
    sure: dict[str, Sure] = {}
    """By column, where it is not that of the table."""
    source: str | None = None
    """Where it is not that of the table."""
    note: str | None = None
    """What must be known of the numbers."""
    ours: Ours | None = None
    """The rows of ours that can reproduce its numbers; None where none can."""


class Template(_Part):
    """What ``bench table NAME RUN`` shows of runs, beside the published rows."""

    columns: list[str] = Field(min_length=1)
    """Keys of metrics, or of what ``reports.fields.FIELDS`` names, in order. One that no row has is left out."""
    methods: list[str] = []
    """Names of the methods whose rows belong here; empty for all. One of the user's own always does."""
    reads: Literal["run", "latency"] = "run"
    """Whose results it is made for where a folder holds those of both: ``bench run``'s or ``bench latency``'s."""
    curves: bool = False
    """Whether the page of the table draws the distances of a sweep over its scores."""


class Published(_Part):
    """A published table."""

    title: str
    source: str
    url: str
    sure: Sure
    protocol: Protocol
    columns: dict[str, PublishedColumn]
    """By the key of the metric, or of the column of our table that shows the same quantity in the same unit."""
    heading: str = "Method"
    """What the rows are."""
    rows: list[PublishedRow]
    measured: Template | None = None
    """None where runs measure nothing of it."""

    @model_validator(mode="after")
    def _columns_exist(self) -> Published:
        unknown = {key for row in self.rows for key in (*row.values, *row.sure)} - set(self.columns)
        if unknown:
            raise ValueError(f"values without a column: {', '.join(sorted(unknown))}")
        return self

    def conditions(self, key: str, ours: Ours | None = None) -> Conditions:
        """Under which conditions the numbers of column ``key`` were made; with ``ours``, those of its row."""
        parts = (self.protocol, self.columns[key].protocol, ours or Conditions())
        stated = [part.model_dump(exclude={"text", "method"}, exclude_defaults=True) for part in parts]
        return Conditions.model_validate({name: value for part in stated for name, value in part.items()})

    def sureness(self, row: PublishedRow, key: str) -> Sure:
        """How sure the number of ``row`` in column ``key`` is."""
        return row.sure.get(key, self.sure)


def published_names() -> list[str]:
    """The names of all published tables."""
    folder = files(__package__).joinpath("published")
    return sorted(file.name.removesuffix(".toml") for file in folder.iterdir() if file.name.endswith(".toml"))


def load_published(name: str) -> Published:
    """Read the published table called ``name``.

    Raises BenchError for an unknown name.
    """
    known = published_names()
    if name not in known:
        raise BenchError(f"unknown published table '{name}'{suggest(name, known)} (known: {', '.join(known)})")
    text = files(__package__).joinpath(f"published/{name}.toml").read_text(encoding="utf-8")
    return Published.model_validate(tomllib.loads(text))


def published_summaries() -> dict[str, str]:
    """One line for every published table."""
    return {name: load_published(name).title for name in published_names()}
