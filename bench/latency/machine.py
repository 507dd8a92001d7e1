"""What of a machine decides its speed just now: limits, governor, clocks, and what others do on it."""

from __future__ import annotations

import os
import re
import statistics
import time
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple

from ...reports.latency import Machine

CPU = Path("/sys/devices/system/cpu")
CGROUP = Path("/sys/fs/cgroup")
PROC = Path("/proc")
BUSY = 0.1
"""Share of the cores that others may take before it is said."""


def machine() -> Machine:
    """Return what is known of this machine; None for what the platform does not tell."""
    return Machine(
        cores=os.cpu_count(),
        usable_cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None,
        cpu_limit=_cpu_limit(),
        memory_limit_bytes=_memory_limit(),
        container=_container(),
        governors=sorted({text for file in CPU.glob("cpu*/cpufreq/scaling_governor") if (text := _text(file))}),
        megahertz=megahertz(),
        load_average=os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
    )


def megahertz() -> float | None:
    """Return the median clock of the cores now; None where the platform does not tell."""
    khz = [float(text) for file in CPU.glob("cpu[0-9]*/cpufreq/scaling_cur_freq") if (text := _text(file))]
    if khz:
        return statistics.median(khz) / 1000
    found = re.findall(r"^cpu MHz\s*:\s*([\d.]+)", _text(PROC / "cpuinfo") or "", re.MULTILINE)
    return statistics.median(map(float, found)) if found else None


def available_bytes() -> int | None:
    """Return the memory that a new process may take: of the machine, and of its container; None where nobody tells."""
    found = re.search(r"^MemAvailable:\s+(\d+) kB", _text(PROC / "meminfo") or "", re.MULTILINE)
    free = [int(found[1]) * 1024] if found else []
    for folder in _cgroups("memory"):
        limit, used = _text(folder / "memory.max") or "", _text(folder / "memory.current") or ""
        cached = re.search(r"^inactive_file (\d+)", _text(folder / "memory.stat") or "", re.MULTILINE)
        if limit.isdecimal() and used.isdecimal():
            free.append(int(limit) - int(used) + (int(cached[1]) if cached else 0))
    return min(free, default=None)


class Others:
    """How many cores other programs have kept busy since this was made; virtual machines' stolen time counts."""

    class _Moment(NamedTuple):
        wall: float
        busy: float

    def __init__(self) -> None:
        self.start = self._now()

    def cores(self, own_s: float) -> float | None:
        """Return it, given the processor seconds that our own processes took meanwhile; None where nobody tells."""
        now = self._now()
        if self.start is None or now is None or now.wall <= self.start.wall:
            return None
        return max(0.0, (now.busy - self.start.busy - own_s) / (now.wall - self.start.wall))

    def _now(self) -> _Moment | None:
        line = (_text(PROC / "stat") or "").partition("\n")[0].split()
        if len(line) < 8:
            return None
        user, nice, system, _, _, irq, softirq, *steal = map(int, line[1:9])
        ticks = user + nice + system + irq + softirq + sum(steal)
        return self._Moment(time.monotonic(), ticks / os.sysconf("SC_CLK_TCK"))


def own_seconds(groups: Collection[int]) -> float:
    """Return the processor seconds that this process has taken, and all processes in ``groups`` with their children."""
    ticks = sum(_ticks(file, groups) for file in PROC.glob("[0-9]*/stat")) if groups else 0
    return time.process_time() + ticks / (os.sysconf("SC_CLK_TCK") if ticks else 1)


def _ticks(file: Path, groups: Collection[int]) -> int:
    # Behind the name, which may hold spaces and brackets: state, parent, group, …, and four times from the 12th on.
    fields = (_text(file) or "").rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) if len(fields) > 14 and int(fields[2]) in groups else 0


def busy_warning(others: float | None, found: Machine) -> str | None:
    """Say in one line that the machine is busy with other things; None where it is not."""
    cores = found.cores or 1
    if others is not None and others > BUSY * cores:
        return f"busy machine: other programs keep {others:.1f} of {cores} cores busy; expect noisy numbers"
    if others is None and found.load_average is not None and found.load_average > max(0.5, BUSY * cores):
        return f"busy machine: load average {found.load_average:.1f} on {cores} cores before anything was started"
    return None


def _cpu_limit() -> float | None:
    """Cores that a container may use on average; None without a limit."""
    for folder in _cgroups("cpu"):
        quota, period = [*(_text(folder / "cpu.max") or "").split(), "", ""][:2]
        if not quota:  # the first version of control groups
            quota, period = _text(folder / "cpu.cfs_quota_us") or "", _text(folder / "cpu.cfs_period_us") or ""
        if quota.isdecimal() and period.isdecimal():
            return int(quota) / int(period)
    return None


def _memory_limit() -> int | None:
    for folder in _cgroups("memory"):
        text = _text(folder / "memory.max") or _text(folder / "memory.limit_in_bytes") or ""
        if text.isdecimal() and int(text) < 2**60:  # without a limit the first version says almost 2^63
            return int(text)
    return None


def _cgroups(controller: str) -> Iterator[Path]:
    """The control groups of this process, of both versions, its own first: in a container that path may not exist."""
    for line in (_text(PROC / "self" / "cgroup") or "").splitlines():
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        if controllers in ("", controller) or controller in controllers.split(","):
            root = CGROUP / controller if controllers else CGROUP
            yield root / path.lstrip("/")
            yield root


def _container() -> str | None:
    if (PROC.parent / ".dockerenv").exists():
        return "docker"
    if (PROC.parent / "run" / ".containerenv").exists():
        return "podman"
    named = os.environ.get("container")  # noqa: SIM112 - systemd-nspawn and lxc write it so
    return named or ("kubernetes" if "KUBERNETES_SERVICE_HOST" in os.environ else None)


def _text(file: Path) -> str | None:
    try:
        return file.read_text().strip()
    except OSError:
        return None
