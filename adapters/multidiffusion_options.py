"""The options of MultiDiffusion's method string, checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..core.errors import BenchError
from .options import whole

MODES: Mapping[str, tuple[str, ...]] = {
    "regions": ("bootstrapping", "background"),
    "words": (),
    "panorama": ("window", "stride", "wrap"),
    "tiles": ("window",),
}
"""What can be made, and the options that belong to it."""
BOOTSTRAPPING = {"paper": 0.2, "code": 0.4}
"""Shares of the steps: 10 and 20 of 50."""
WRAPS = {"no": (False, False), "yes": (True, True), "height": (True, False), "width": (False, True)}
"""Whether windows run over the border vertically, and horizontally."""
STRIDE = 64
"""Pixels from one window to the next."""

Colour = tuple[int, int, int]
LEVELS = (32, 96, 160, 224)
# Evenly spread, and few enough that each is encoded but once for all pictures of a size.
RANDOM: tuple[Colour, ...] = tuple((red, green, blue) for red in LEVELS for green in LEVELS for blue in LEVELS)


@dataclass(frozen=True)
class Layout:
    """How a picture is cut into views."""

    mode: str
    bootstrapping: float
    """Share of the steps, 0 to 1."""
    colours: tuple[Colour, ...]
    """Backgrounds are drawn from these."""
    window: int | None
    """Side in pixels; None for what the UNet was trained on."""
    stride: int
    """In pixels."""
    wrap: tuple[bool, bool]

    @classmethod
    def of(cls, mode: str, options: Mapping[str, str | None]) -> Layout:
        """Return the layout that a method string describes; BenchError for values, and options of another mode."""
        if mode not in MODES:
            raise BenchError(f"mode={mode} is unknown (known: {', '.join(MODES)})")
        given = {name: value for name, value in options.items() if value is not None}
        for name in given:
            if name not in MODES[mode]:
                fitting = " or ".join(f"mode={other}" for other, names in MODES.items() if name in names)
                raise BenchError(f"{name}={given[name]} belongs to {fitting}, not to mode={mode}: leave it out")
        wrap = given.get("wrap", "no")
        if wrap not in WRAPS:
            raise BenchError(f"wrap={wrap} is unknown (known: {', '.join(WRAPS)})")
        window, stride = given.get("window"), given.get("stride", str(STRIDE))
        return cls(
            mode, share(given.get("bootstrapping", "paper")), colours(given.get("background", "random")),
            None if window is None else whole("window", window), whole("stride", stride), WRAPS[wrap],
        )  # fmt: skip


def share(text: str) -> float:
    """Return the share of the steps that are bootstrapped."""
    try:
        value = BOOTSTRAPPING[text] if text in BOOTSTRAPPING else float(text)
    except ValueError:
        value = -1
    if not 0 <= value <= 1:
        names = ", ".join(BOOTSTRAPPING)
        raise BenchError(f"bootstrapping={text} must be a share of the steps, 0 to 1 ({names}: {BOOTSTRAPPING})")
    return value


def colours(text: str) -> tuple[Colour, ...]:
    """Return the colours that backgrounds are drawn from."""
    from PIL import ImageColor

    if text == "random":
        return RANDOM
    try:
        red, green, blue = ImageColor.getrgb(text)[:3]
    except ValueError as error:
        raise BenchError(f"background={text} must be random or a colour: white, #808080") from error
    return ((red, green, blue),)
