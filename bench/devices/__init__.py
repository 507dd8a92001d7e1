"""Devices by name: one file per runtime, one registry; later runtimes add a line here."""

from __future__ import annotations

import re

from ...core.errors import BenchError
from ...core.registry import Entry, Registry, suggest
from .base import Device, DeviceOptions, DeviceSpec, Probe

DEVICES: Registry[type[Device]] = Registry(
    "device",
    ".bench.devices.base:Device",
    {
        "cpu": Entry(".bench.devices.pytorch:PyTorch", "PyTorch on the processor; cpu+compile: torch.compile"),
        "cuda": Entry(
            ".bench.devices.pytorch:PyTorch",
            "PyTorch on an NVIDIA or AMD card, cuda:1 for the second; cuda+compile: torch.compile",
        ),
        "mps": Entry(".bench.devices.pytorch:PyTorch", "PyTorch on an Apple chip; mps+compile: torch.compile"),
        "onnx": Entry(".bench.devices.onnx_runtime:OnnxRuntime", "ONNX Runtime on the processor, exported stages"),
        "openvino": Entry(".bench.devices.openvino_runtime:OpenVino", "OpenVINO on the processor, exported stages"),
        "litert": Entry(".bench.devices.litert:LiteRt", "LiteRT with XNNPACK on the processor, exported stages"),
        "adb": Entry(
            ".bench.devices.adb:Adb",
            "adb:SERIAL, an Android phone: .tflite stages in LiteRT; +gpu, +nnapi, +no-xnnpack",
        ),
        "import": Entry(
            ".bench.devices.imported:Imported", "import:FILE, numbers and pictures of another machine (docs/latency.md)"
        ),
    },
    group="t2ibench.devices",
)


def make_device(text: str, options: DeviceOptions = DeviceOptions()) -> Device:  # noqa: B008 - frozen
    """Return the device that ``text`` names: ``NAME``, ``NAME:ARGUMENT``, either with ``+VARIANT``; nothing is checked.

    Raises BenchError for an unknown name or variant.
    """
    name = re.split("[:+]", text, maxsplit=1)[0].strip()
    if not name:
        raise BenchError(f"'{text}' names no device: write cpu, cuda:1 or cpu+compile")
    found = DEVICES.get(name)
    head, plus, variant = text.strip().rpartition("+")
    if plus and variant not in found.variants and ":" not in head:  # an argument may hold a plus itself
        known = ", ".join(found.variants) or "none"
        raise BenchError(
            f"device '{name}' has no variant '{variant}'{suggest(variant, found.variants)} (known: {known})"
        )
    head, chosen = (head, variant) if plus and variant in found.variants else (text.strip(), None)
    _, colon, argument = head.partition(":")
    return found(DeviceSpec(text.strip(), name, argument if colon else None, chosen, options))


def probe_devices() -> list[Probe]:
    """Say of every device and variant whether it works here."""
    return [probe for name in DEVICES.names() for probe in DEVICES.get(name).probe(name)]
