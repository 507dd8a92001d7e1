"""``bench table architecture``: what the full-size networks and methods cost, beside the published numbers.

Nothing is loaded: networks are made without weights, methods load their structure, and torch counts.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ..adapters import full_size, make_adapter
from ..adapters.base import Settings, Stage
from ..adapters.checkpoints import structure_only
from ..adapters.counting import count_macs, count_params
from ..datasets.request import Pixels, Region, Request
from ..reports.published import Published, Sure, load_published

if TYPE_CHECKING:
    import torch

NAME = "architecture"
SIDE, LATENT, TOKENS, TEXT_WIDTH = 512, 64, 77, 768
UNITS = {"params": 1e6, "macs": 1e9}

SD15 = "sd15[checkpoint={folder}/sd15]"
SNAPFUSION = "snapfusion[checkpoint={folder}/snapfusion]"
METHODS: Mapping[str, str] = {
    "sd15": SD15,
    "controlnet": f"controlnet[base={SD15},condition=canny,checkpoint={{folder}}/controlnet]",
    "t2i-adapter": f"t2i-adapter[base={SD15},condition=canny,checkpoint={{folder}}/t2i-adapter]",
    "mediapipe-plugin": f"mediapipe-plugin[base={SD15},condition=canny,checkpoint={{folder}}/plugin]",
    "mediapipe-plugin[base=snapfusion]": (
        f"mediapipe-plugin[base={SNAPFUSION},condition=canny,checkpoint={{folder}}/plugin]"
    ),
    "snapfusion": SNAPFUSION,
    "mobilediffusion": "mobilediffusion[checkpoint={folder}/mobilediffusion]",
    "mobilediffusion[steps=8]": "mobilediffusion[checkpoint={folder}/mobilediffusion,steps=8]",
    "mobilediffusion[steps=50]": "mobilediffusion[checkpoint={folder}/mobilediffusion,steps=50]",
    "mobilediffusion (Lite UNet)": "mobilediffusion[checkpoint={folder}/mobilediffusion-lite]",
    "multidiffusion, two regions": f"multidiffusion[base={SD15}]",
    "sdedit": f"sdedit[base={SD15}]",
    "plug-and-play": f"plug-and-play[base={SD15}]",
    "unitune": f"unitune[base={SD15}]",
}
"""What each row of the methods is: a method string with its own defaults."""

NOTES = (
    f"Pictures of {SIDE}×{SIDE}. 1 MAC is one multiply-add of a convolution or a matrix product, attention included.",
    "Forwards are of one picture each: guidance takes two per step, PNDM one step more. The text encoder runs once: "
    "the negative prompt is encoded once for all pictures.",
    "Fine-tuning counts a step as three forwards of each picture of its batch: going back costs two. Plug-and-Play's "
    "inversion leaves out the timesteps noisier than the sampler's first.",
)


class Figure(NamedTuple):
    """One published number beside ours, both in the unit."""

    quantity: str
    unit: str
    published: float
    measured: float
    source: str
    sure: Sure

    @property
    def deviation(self) -> float:
        """In percent of the published number."""
        return 100 * (self.measured / self.published - 1)


class NetworkRow(NamedTuple):
    """A network, counted, and what is published of it."""

    network: str
    params: int
    macs: int | None
    """Of one forward; None where the row is a sum of networks that run differently often."""
    figures: list[Figure]
    notes: list[str]


class MethodRow(NamedTuple):
    """A method at its own defaults: what runs for one picture."""

    method: str
    settings: Settings
    params: int
    forwards: dict[str, int]
    """By stage, in the order they run."""
    macs: int
    """Of one picture."""


class Architecture(NamedTuple):
    """The whole table."""

    networks: list[NetworkRow]
    methods: list[MethodRow]


def measure() -> Architecture:
    """Make every network without weights, load every method's structure, and count."""
    made = full_size.networks()
    published = load_published(NAME)
    order = list(dict.fromkeys(row.method for row in published.rows))
    parts = sorted(_parts(made), key=lambda part: order.index(part.name) if part.name in order else len(order))
    return Architecture([_row(part, published) for part in parts], list(_methods(made)))


class _Part(NamedTuple):
    name: str
    params: int
    macs: int | None


def _parts(made: Mapping[str, Any]) -> Iterator[_Part]:
    inputs = _inputs()
    whole = {name: network for name, network in made.items() if not name.endswith("VAE")}
    for name, vae in (("SD", made["SD VAE"]), ("MobileDiffusion", made["MobileDiffusion VAE"])):
        whole[f"{name} encoder"], whole[f"{name} decoder"] = vae.encoder, vae.decoder
    for name, network in whole.items():
        arguments = next(inputs[kind] for kind in inputs if kind in name)
        yield _Part(name, count_params(network), count_macs(partial(network, *arguments(network))))
    together = ("CLIP ViT-L/14 text encoder", "MobileDiffusion UNet", "MobileDiffusion Lite decoder")
    yield _Part("MobileDiffusion in all", sum(count_params(whole[name]) for name in together), None)


def _inputs() -> dict[str, Callable[[Any], tuple[Any, ...]]]:
    """What a network is called with for one picture, by a word of its name."""
    import torch

    def zeros(*shape: int) -> torch.Tensor:
        return torch.zeros(shape, device="meta")

    def latents(network: Any) -> tuple[Any, ...]:
        return zeros(1, network.config.in_channels, LATENT, LATENT), 1, zeros(1, TOKENS, TEXT_WIDTH)

    def picture(network: Any) -> tuple[Any, ...]:
        channels = network.config.in_channels if hasattr(network, "config") else 3
        return (zeros(1, channels, SIDE, SIDE),)

    def codes(network: Any) -> tuple[Any, ...]:
        return (zeros(1, getattr(network, "decoder", network).conv_in.in_channels, LATENT, LATENT),)

    return {
        "text encoder": lambda network: (torch.zeros(1, TOKENS, dtype=torch.long, device="meta"),),
        "UNet": latents,
        "ControlNet": lambda network: (*latents(network), zeros(1, 3, SIDE, SIDE)),
        "Adapter": picture,
        "plugin": picture,
        "encoder": picture,
        "decoder": codes,
    }


def _row(part: _Part, published: Published) -> NetworkRow:
    figures: list[Figure] = []
    notes: list[str] = []
    for row in published.rows:
        if row.method == part.name:
            notes += [row.note] if row.note else []
            for quantity, text in row.values.items():
                measured = getattr(part, quantity) / UNITS[quantity]
                title, unit = published.columns[quantity].title, published.columns[quantity].unit
                sure = row.sure.get(quantity, published.sure)
                figures.append(Figure(title, unit, float(text), measured, row.source or published.source, sure))
    return NetworkRow(part.name, part.params, part.macs, figures, notes)


def _methods(made: Mapping[str, Any]) -> Iterator[MethodRow]:
    counted: dict[Any, int] = {}
    with tempfile.TemporaryDirectory() as folder, structure_only():
        full_size.write_structure(Path(folder), made)
        for name, text in METHODS.items():
            adapter = make_adapter(text.format(folder=folder))
            adapter.load("meta", "fp32")
            yield _method(name, adapter.settings, adapter.stages(), counted)


def _method(name: str, settings: Settings, stages: Mapping[str, Stage], counted: dict[Any, int]) -> MethodRow:
    request = _request()
    forwards = {part: stage.forwards(request) for part, stage in stages.items()}
    macs = sum(count * _macs(stages[part], request, counted) for part, count in forwards.items())
    params = sum(count_params(module) for module in {stage.module for stage in stages.values()})
    return MethodRow(name, settings, params, forwards, macs)


def _macs(stage: Stage, request: Request, counted: dict[Any, int]) -> int:
    # Most methods sit on the same base: its networks are counted once.
    arguments = stage.inputs(request, "meta")
    shapes = tuple(getattr(each, "shape", None) for each in arguments)
    key = type(stage.module), count_params(stage.module), shapes
    if key not in counted:
        counted[key] = count_macs(partial(stage.module, *arguments))
    return counted[key]


def _request() -> Request:
    import numpy as np

    left = np.arange(SIDE) < SIDE // 2
    halves = (np.broadcast_to(side, (SIDE, SIDE)) for side in (left, ~left))
    return Request(
        "", "", height=SIDE, width=SIDE, regions=tuple(Region(str(i), Pixels.of(h)) for i, h in enumerate(halves))
    )
