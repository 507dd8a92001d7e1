"""What a run ran on; enough to explain why another machine's numbers differ."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

LIBRARIES = (
    "t2ibench", "torch", "torchvision", "diffusers", "transformers", "open-clip-torch", "torch-fidelity", "lpips",
    "scikit-image", "onnxruntime", "numpy", "pillow",
)  # fmt: skip


def environment(device: str) -> dict[str, Any]:
    """Return platform, processor, accelerator, threads, and versions of the libraries that decide numbers.

    And the commit of the folder that it runs in, where git knows one: that of the user's own code.
    """
    import torch

    accelerator = torch.cuda.get_device_name(device) if device.startswith("cuda") else None
    return {
        "platform": platform.platform(),
        "python": platform.python_version(),
        "processor": processor(),
        "cores": os.cpu_count(),
        "accelerator": accelerator,
        "threads": torch.get_num_threads(),
        "versions": {name: found for name in LIBRARIES if (found := _version(name))},
        **({"commit": commit} if (commit := commit_of(Path.cwd())) else {}),
    }


def processor() -> str:
    """Return the processor's name as the system gives it."""
    try:
        found = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    except OSError:
        found = None
    return found.group(1) if found else platform.processor()


def commit_of(folder: Path) -> str | None:
    """Return the commit that a folder has checked out, with ``+`` where files differ from it; None without git."""

    def git(*arguments: str) -> str | None:
        with suppress(OSError, subprocess.TimeoutExpired):
            done = subprocess.run(
                ["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=False, timeout=20
            )
            return done.stdout.strip() if done.returncode == 0 else None
        return None

    commit = git("rev-parse", "--short=12", "HEAD")
    changed = git("status", "--porcelain", "--untracked-files=no") if commit else None
    return f"{commit}+" if changed else commit


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


class PeakMemory:
    """The memory taken since it was made, at its peak: the accelerator's, or this process's where Linux tells."""

    def __init__(self, device: str) -> None:
        self.cuda = device if device.startswith("cuda") else None
        if self.cuda:
            import torch

            torch.cuda.reset_peak_memory_stats(self.cuda)
        else:
            self._reset()

    def bytes(self) -> int | None:
        """Return the peak in bytes above what was taken before (CPU), None where the platform does not tell."""
        if self.cuda:
            import torch

            return torch.cuda.max_memory_allocated(self.cuda)
        peak = status_bytes("VmHWM")
        return max(0, peak - self._before) if peak and self._can_reset else None

    def _reset(self) -> None:
        # Without a reset the figure would be the peak of everything that ran before in this process.
        self._before = status_bytes("VmRSS") or 0
        try:
            Path("/proc/self/clear_refs").write_text("5")
            self._can_reset = True
        except OSError:
            self._can_reset = False


def status_bytes(field: str) -> int | None:
    """Return a size of this process: ``VmRSS`` resident now, ``VmHWM`` at most; None where the system is not Linux."""
    try:
        found = re.search(rf"{field}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    except OSError:
        return None
    return int(found.group(1)) * 1024 if found else None
