"""One file per method, behind one interface; the registry of methods and how one is made from its name."""

from __future__ import annotations

import dataclasses
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TypeVar

from ..core.errors import BenchError
from ..core.registry import Entry, Registry, import_target, suggest
from .base import Adapter, Settings
from .schedulers import CLASSES
from .spec import Spec, construct, parse

ADAPTERS: Registry[type[Adapter]] = Registry(
    "method",
    ".adapters.base:Adapter",
    {
        "sd15": Entry(
            ".adapters.sd15:StableDiffusion", "Stable Diffusion 1.x and 2.x, checkpoints in diffusers layout"
        ),
        "controlnet": Entry(".adapters.controlnet:ControlNet", "ControlNet, one or several condition maps, on base="),
        "t2i-adapter": Entry(".adapters.t2i_adapter:T2IAdapter", "T2I-Adapter, a condition map read once, on base="),
        "mediapipe-plugin": Entry(
            ".adapters.mediapipe_plugin:MediaPipePlugin", "MediaPipe's 6 M plugin, a condition map read once, on base="
        ),
        "sdedit": Entry(".adapters.sdedit:SDEdit", "SDEdit, a source picture noised part of the way and denoised"),
        "plug-and-play": Entry(
            ".adapters.plug_and_play:PlugAndPlay", "Plug-and-Play, edits with the source's features and self-attention"
        ),
        "unitune": Entry(".adapters.unitune:UniTune", "UniTune, fine-tunes on the source and edits it"),
        "multidiffusion": Entry(
            ".adapters.multidiffusion:MultiDiffusion", "regions with prompts of their own, and panoramas, on base="
        ),
        "snapfusion": Entry(
            ".adapters.snapfusion:SnapFusion",
            "SnapFusion, an efficient UNet in 8 steps; no public weights: checkpoint=",
        ),
        "mobilediffusion": Entry(
            ".adapters.mobilediffusion:MobileDiffusion",
            "MobileDiffusion, 1, 8 or 50 steps, decoder=lite or full; no public weights: checkpoint=",
        ),
        "diffusers": Entry(".adapters.any_pipeline:AnyPipeline", "diffusers:ID_OR_DIR, any text-to-image pipeline"),
        "scenes": Entry(
            ".adapters.scenes:Scenes", "scenes[codec=TEXT], the ground truth of dataset scenes, or its round trip"
        ),
        "folder": Entry(".adapters.folder:Folder", "folder:PATH, pictures made elsewhere, matched to prompts by name"),
    },
    group="t2ibench.adapters",
)

N = TypeVar("N", int, float)
SETTINGS = tuple(field.name for field in dataclasses.fields(Settings))


def make_adapter(text: str, suite: Settings | None = None) -> Adapter:
    """Construct the method that ``text`` names; nothing is loaded yet.

    Its settings are those of the text, else the suite's, else the method's own; none where it does not sample.
    ``module.path:Class`` names a user's own class, looked for in the current folder too.

    Raises BenchError for an unknown method, option or value.
    """
    spec = parse(text)
    own = _is_module(spec)
    if not own and spec.name not in ADAPTERS and (spec.argument or "").isidentifier():
        known = ", ".join(ADAPTERS.names())
        raise BenchError(
            f"unknown method '{spec.name}'{suggest(spec.name, ADAPTERS.names())} (known: {known}), and no module "
            f"'{spec.name}' with a class '{spec.argument}' in this folder or on PYTHONPATH"
        )
    found = ADAPTERS.check(import_target(f"{spec.name}:{spec.argument}"), text) if own else ADAPTERS.get(spec.name)
    spec = dataclasses.replace(spec, argument=None) if own else spec
    options = dict(spec.options)
    asked = _settings(spec, options)
    adapter: Adapter = construct(found, spec, options, also=SETTINGS)
    if not adapter.traits.sampled and asked != Settings():
        raise BenchError(f"'{text}': '{spec.name}' takes no scheduler, steps or guidance; leave them out")
    adapter.options = options
    adapter.asked = asked = asked.over(adapter.asked)
    if adapter.traits.sampled:
        adapter.settings = adapter.decide(asked, suite or Settings())
    return adapter


def _is_module(spec: Spec) -> bool:
    if spec.argument is None or spec.name in ADAPTERS:
        return False
    # At the end of the path, so that a folder of the user's never shadows a library.
    if (here := str(Path.cwd())) not in sys.path:
        sys.path.append(here)
    return "." in spec.name or find_spec(spec.name) is not None


def _settings(spec: Spec, options: dict[str, str]) -> Settings:
    scheduler = options.pop("scheduler", None)
    if scheduler is not None and scheduler not in CLASSES:
        raise BenchError(f"unknown scheduler '{scheduler}' in '{spec.text}' (known: {', '.join(CLASSES)})")
    return Settings(
        scheduler=scheduler,
        steps=_number(spec, "steps", options.pop("steps", None), int, 1),
        guidance=_number(spec, "guidance", options.pop("guidance", None), float, 0),
    )


def _number(spec: Spec, name: str, text: str | None, kind: type[N], least: N) -> N | None:
    if text is None:
        return None
    try:
        value = kind(text)
    except ValueError:
        value = None
    if value is None or not value >= least or value == float("inf"):
        raise BenchError(f"{name}={text} in '{spec.text}' must be a number of at least {least}")
    return value
