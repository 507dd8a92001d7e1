"""Where methods run: devices and precisions, by the command line or by a method's own ``device=`` and ``dtype=``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ..adapters.spec import Spec, parse, split_list
from ..core.errors import BenchError
from ..core.registry import suggest
from .devices import make_device

PRECISIONS = ("fp32", "bf16", "fp16", "int8")
PYTORCH = ("cpu", "cuda", "mps")
PLACE = ("device", "dtype")
"""Options of a method string that say where it runs."""


class Place(NamedTuple):
    """A device in a precision."""

    device: str
    """As ``bench.devices`` names it: ``cpu``, ``cuda:1+compile``, ``onnx``."""
    dtype: str

    @property
    def is_pytorch(self) -> bool:
        """Whether PyTorch computes there."""
        return self.device.partition(":")[0].partition("+")[0] in PYTORCH


class Placed(NamedTuple):
    """A method string without what it says of its place."""

    method: str
    own: dict[str, str]
    """``device`` and ``dtype`` where it states them."""


def places_of(devices: str, dtypes: str) -> tuple[list[Place], list[str]]:
    """Return every device in every precision that it has, and a line on each that one lacks.

    ``auto`` is the best device of PyTorch's. Raises BenchError for what does not exist or does not work here, and for a
    device that has none of the precisions.
    """
    named, precisions = split_list(devices), split_list(dtypes)
    for option, found in (("--device", named), ("--dtype", precisions)):
        if not found:
            raise BenchError(f"{option} is empty: name one, such as --device cpu --dtype fp32")
        if len(set(found)) < len(found):
            raise BenchError(f"{option} names one of '{', '.join(found)}' twice: once is enough")
    for name in precisions:
        check_precision(name)
    places, notes = [], []
    for name in named:
        device = _checked(name)
        lacking = {dtype: why for dtype in precisions if (why := make_device(device).lacks(dtype))}
        if len(lacking) == len(precisions):
            raise BenchError(f"device '{device}': {next(iter(lacking.values()))}")
        places += [Place(device, dtype) for dtype in precisions if dtype not in lacking]
        notes += [f"device '{device}' is left out in {dtype}: {why}" for dtype, why in lacking.items()]
    return places, notes


def check_precision(name: str) -> None:
    """Raise BenchError for a precision that no device has."""
    if name not in PRECISIONS:
        raise BenchError(f"unknown dtype '{name}'{suggest(name, PRECISIONS)} (known: {', '.join(PRECISIONS)})")


def _checked(name: str) -> str:
    """The full name of a device that works here."""
    from .startup import device_of

    if name == "auto":
        return device_of(name)
    made = make_device(name)
    if not made.whole:
        raise BenchError(f"device '{name}' makes no whole pictures: 'bench latency --device {name}' times stages there")
    made.check()
    return device_of(name) if name.partition(":")[0] in PYTORCH and made.spec.variant is None else name


def take_place(text: str) -> Placed:
    """Read ``device=`` and ``dtype=`` out of a method string; without them it is as it was."""
    spec = parse(text)
    own = {name: spec.options[name] for name in PLACE if name in spec.options}
    return Placed(_written(spec, {k: v for k, v in spec.options.items() if k not in own}) if own else text, own)


def put_place(text: str, place: Place) -> str:
    """Write a place into a method string."""
    spec = parse(text)
    return _written(spec, {**spec.options, "device": place.device, "dtype": place.dtype})


def places_for(own: Mapping[str, str], places: Sequence[Place]) -> list[Place]:
    """Return where a method runs that says so itself, in part or in full; BenchError where it cannot."""
    if not own:
        return list(places)
    if "dtype" in own:
        check_precision(own["dtype"])
    devices = [own["device"]] if "device" in own else [place.device for place in places]
    dtypes = [own["dtype"]] if "dtype" in own else [place.dtype for place in places]
    return places_of(",".join(dict.fromkeys(devices)), ",".join(dict.fromkeys(dtypes)))[0]


def pytorch_device(places: Sequence[Place]) -> str:
    """Return the first device of PyTorch's, without a variant; the processor where there is none."""
    return next((place.device.partition("+")[0] for place in places if place.is_pytorch), "cpu")


def _written(spec: Spec, options: Mapping[str, str]) -> str:
    head = spec.name if spec.argument is None else f"{spec.name}:{spec.argument}"
    inside = ",".join(f"{name}={value}" for name, value in options.items())
    return f"{head}[{inside}]" if inside else head
