"""Energy counters that can be read without a meter in the wall: RAPL of processors, NVML of NVIDIA's cards."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

POWERCAP = Path("/sys/class/powercap")


class NoMeter(NamedTuple):
    """No energy can be read."""

    reason: str


class Meter:
    """Joules counted so far; only differences mean anything."""

    def __init__(self, source: str, joules: Callable[[], float]) -> None:
        self.source = source
        """What is counted, and where it is read."""
        self.joules = joules


class _Counter:
    """One counter of RAPL in microjoules, which starts anew after ``range_uj``."""

    def __init__(self, zone: Path) -> None:
        self.file, self.range_uj = zone / "energy_uj", int((zone / "max_energy_range_uj").read_text())
        self.last, self.total = self._read(), 0

    def _read(self) -> int:
        return int(self.file.read_text())

    def joules(self) -> float:
        now = self._read()
        self.total += (now - self.last) % (self.range_uj + 1)
        self.last = now
        return self.total / 1e6


def rapl(root: Path = POWERCAP) -> Meter | NoMeter:
    """Return the energy of all processor packages by RAPL (Intel, AMD), whoever uses them; or why there is none."""
    zones = sorted(zone for zone in root.glob("intel-rapl:*") if _is_package(zone))
    if not zones:
        return NoMeter(f"no processor package under {root} (a virtual machine, or no RAPL)")
    try:
        counters = [_Counter(zone) for zone in zones]
    except PermissionError:
        return NoMeter(f"{zones[0] / 'energy_uj'} may be read by root only: sudo chmod a+r it")
    except (OSError, ValueError) as error:
        return NoMeter(f"RAPL cannot be read: {error}")
    packages = "package" if len(zones) == 1 else f"{len(zones)} packages"
    return Meter(f"processor {packages}, RAPL", lambda: sum(counter.joules() for counter in counters))


def _is_package(zone: Path) -> bool:
    try:
        return (zone / "name").read_text().startswith("package")
    except OSError:
        return False


def nvml(index: int) -> Meter | NoMeter:
    """Return the energy of the NVIDIA card torch calls ``index``, whoever computes on it; or why there is none."""
    try:
        import pynvml
        import torch

        pynvml.nvmlInit()
        # torch counts the cards that CUDA_VISIBLE_DEVICES leaves, NVML counts all: the UUID tells which is meant.
        uuid = f"GPU-{torch.cuda.get_device_properties(index).uuid}"
        card: Any = pynvml.nvmlDeviceGetHandleByUUID(uuid)
        pynvml.nvmlDeviceGetTotalEnergyConsumption(card)
    except ImportError:
        return NoMeter("NVML is read through nvidia-ml-py: pip install nvidia-ml-py")
    except Exception as error:  # NVML's errors, and torch's for a card that is none of NVIDIA's
        return NoMeter(f"NVML: {error}")
    return Meter("graphics card, NVML", lambda: pynvml.nvmlDeviceGetTotalEnergyConsumption(card) / 1000)
