"""Published tables: data files that keep every number as it was printed, with its source and how sure it is."""

from __future__ import annotations

import tomllib
from importlib.resources import files
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, model_validator

from ..core.errors import BenchError
from ..core.registry import suggest

Sure = Literal["paper", "article", "secondary", "recalled"]

SURE: dict[Sure, str] = {
    "paper": "read in the paper itself",
    "article": "read in an article about the paper, not checked against the paper",
    "secondary": "quoted by others, not checked against the paper",
    "recalled": "recalled, not confirmed",
}
"""How sure a published number is, in words."""


def _number(text: str) -> str:
    float(text)
    return text


Number = Annotated[str, AfterValidator(_number)]
"""A number as text, so that its digits stay as printed."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid")


class PublishedColumn(_Part):
    """One quantity of a published table."""

    title: str
    unit: str = ""
    higher_is_better: bool | None = None
    """None for what is neither good nor bad in itself, such as latent channels: a fact, not a result."""
    gap: str | None = None
    """What the sources leave open about this quantity."""


class Protocol(_Part):
    """How the numbers were made, as far as it is known."""

    text: str
    dataset: str | None = None
    """The dataset by our name for it; None where the sources do not say."""


class PublishedRow(_Part):
    """One method of a published table."""

    method: str
    values: dict[str, Number]
    """By column, in the unit of the column."""
    sure: dict[str, Sure] = {}
    """By column, where it is not that of the table."""
    source: str | None = None
    """Where it is not that of the table."""
    note: str | None = None
    """What must be known of the numbers."""


class Published(_Part):
    """A published table."""

    title: str
    source: str
    url: str
    sure: Sure
    protocol: Protocol
    columns: dict[str, PublishedColumn]
    """By the key of the metric, or of the column of our table that shows the same quantity in the same unit."""
    rows: list[PublishedRow]

    @model_validator(mode="after")
    def _columns_exist(self) -> Published:
        unknown = {key for row in self.rows for key in (*row.values, *row.sure)} - set(self.columns)
        if unknown:
            raise ValueError(f"values without a column: {', '.join(sorted(unknown))}")
        return self

    def not_comparable(self, key: str, dataset: str) -> str | None:
        """Say why results in column ``key`` cannot be compared with those measured on ``dataset``; None if they can."""
        stated = self.protocol.dataset
        pictures = (
            "which pictures were measured is not stated" if stated is None else f"measured on {stated}, not {dataset}"
        )
        reasons = [None if stated == dataset else pictures, self.columns[key].gap]
        return "; ".join(reason for reason in reasons if reason) or None


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
