"""A phone behind ``adb``: commands, files, and what it says of itself."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from ...core.errors import BenchError, printable
from ...core.files import sha256_file

FOLDER = "/data/local/tmp/t2ibench"
"""Where files go that a shell may run."""
TIMEOUT_S = 60.0
"""Of commands that take no time."""
PUSH_BYTES_PER_S = 2e6
"""The slowest cable that is waited for."""
RUNNING_S = 600.0
"""Beyond the time that calls are asked to take: a full-size network loads and makes its first call in that time."""
THERMAL = ("none", "light", "moderate", "severe", "critical", "emergency", "shutdown")
"""Android's names of ``Thermal Status``; from ``moderate`` on it slows down what is computed."""

_STATES = {
    "unauthorized": "has not allowed this computer: unlock it and confirm the question about USB debugging",
    "authorizing": "is about to ask whether this computer may debug it: unlock it and confirm",
    "offline": "does not answer: unplug it and plug it in again, or run 'adb kill-server'",
    "no permissions": "may not be opened by this user: add a udev rule for it, or see 'adb devices'",
    "recovery": "is in recovery mode: start Android",
    "sideload": "is in recovery mode: start Android",
    "bootloader": "is in its boot loader: start Android",
}


class Listed(NamedTuple):
    """A phone that ``adb devices -l`` lists."""

    serial: str
    state: str
    """``device`` where it can be used."""
    model: str | None


class State(NamedTuple):
    """How a phone feels."""

    thermal: int | None = None
    """Android's thermal status, 0 to 6; None where it does not tell."""
    battery_percent: int | None = None
    battery_celsius: float | None = None
    charging: bool | None = None

    @property
    def note(self) -> str | None:
        """What must be said of what is measured in this state."""
        if self.thermal is None or self.thermal < THERMAL.index("moderate"):
            return None
        return f"the phone was hot and slowed down: thermal status {self.thermal} ({THERMAL[min(self.thermal, 6)]})"


def adb_path() -> str:
    """Return where adb is: ``T2IBENCH_ADB``, the PATH, Android's SDK; BenchError where it is nowhere."""
    named = os.environ.get("T2IBENCH_ADB")
    sdks = (os.environ[name] for name in ("ANDROID_HOME", "ANDROID_SDK_ROOT") if os.environ.get(name))
    candidates = [named] if named else ["adb", *(f"{sdk}/platform-tools/adb" for sdk in sdks)]
    found = next((path for name in candidates if (path := shutil.which(name))), None)
    if found is None:
        where = f"T2IBENCH_ADB names '{named}', which is no program" if named else "there is no adb on the PATH"
        raise BenchError(f"{where}: install Android's platform-tools, or name adb in T2IBENCH_ADB")
    return found


def listed() -> list[Listed]:
    """Return the phones that adb knows; BenchError where there is no adb, or where it fails."""
    text = _run([adb_path(), "devices", "-l"], TIMEOUT_S, "adb devices")
    rows = re.findall(r"^([^\s*]\S*)\s+(no permissions|\S+)(.*)$", text.partition("attached")[2], re.MULTILINE)
    return [
        Listed(serial, state, found[1].replace("_", " ") if (found := re.search(r"model:(\S+)", more)) else None)
        for serial, state, more in rows
    ]


class Phone:
    """One phone by its serial number; None for the only one there is."""

    def __init__(self, serial: str | None) -> None:
        self.serial = serial

    def check(self) -> None:
        """Raise BenchError where it is not there, or cannot be used."""
        phones = listed()
        if not phones:
            raise BenchError("adb sees no phone: plug one in and switch USB debugging on (Developer options)")
        names = ", ".join(phone.serial for phone in phones)
        if self.serial is None:
            if len(phones) > 1:
                raise BenchError(f"adb sees several phones ({names}): name one, as in adb:{phones[0].serial}")
            self.serial = phones[0].serial
        phone = next((phone for phone in phones if phone.serial == self.serial), None)
        if phone is None:
            raise BenchError(f"adb sees no phone '{self.serial}' (it sees {names}): see 'adb devices'")
        if phone.state != "device":
            raise BenchError(f"phone '{self.serial}' {_STATES.get(phone.state, f'is in state {phone.state}')}")

    def shell(self, command: str, timeout: float = TIMEOUT_S) -> str:
        """Run a command of the phone's shell and return what it prints, whatever its exit status."""
        return self._adb("shell", command, timeout=timeout, what=command.split()[0].rpartition("/")[2], strict=False)

    def push(self, file: Path, executable: bool = False) -> str:
        """Bring a file there, unless it is there already; return its path on the phone."""
        size = file.stat().st_size
        path = f"{FOLDER}/{sha256_file(file)[:16]}-{re.sub(r'[^A-Za-z0-9._-]', '_', file.name)}"
        if self.shell(f"stat -c %s {path} 2>/dev/null").strip() == str(size):
            return path
        self.shell(f"mkdir -p {FOLDER}")
        timeout = TIMEOUT_S + size / PUSH_BYTES_PER_S
        self._adb("push", str(file), f"{path}.part", timeout=timeout, what=f"push {file.name} ({size / 1e6:,.0f} MB)")
        self.shell(f"{'chmod 755' if executable else 'true'} {path}.part && mv {path}.part {path}")
        return path

    @cached_property
    def properties(self) -> dict[str, str]:
        """What ``getprop`` lists."""
        return dict(re.findall(r"^\[([^\]]+)\]: \[(.*)\]\s*$", self.shell("getprop"), re.MULTILINE))

    @property
    def name(self) -> str | None:
        """Manufacturer and model as the phone says them: ``Google Pixel 7``."""
        maker, model = (self.properties.get(f"ro.product.{name}", "") for name in ("manufacturer", "model"))
        whole = model if model.casefold().startswith(maker.casefold()) else f"{maker} {model}"
        return whole.strip() or None

    def about(self) -> dict[str, object]:
        """Return model, Android, chip and build; without what it does not tell."""
        names = {
            "android": "ro.build.version.release",
            "sdk": "ro.build.version.sdk",
            "chip": "ro.soc.model",
            "chip_maker": "ro.soc.manufacturer",
            "platform": "ro.board.platform",
            "abi": "ro.product.cpu.abi",
            "build": "ro.build.fingerprint",
        }
        found = {name: self.properties.get(key) for name, key in names.items()}
        return {"accelerator": self.name, **{name: value for name, value in found.items() if value}}

    def state(self) -> State:
        """Ask it how hot it is and what its battery does."""
        thermal = re.search(r"Thermal Status: (\d+)", self.shell("dumpsys thermalservice"))
        battery = dict(re.findall(r"^\s*([\w ]+): (\S+)\s*$", self.shell("dumpsys battery"), re.MULTILINE))
        powered = [value for name, value in battery.items() if name.endswith("powered")]
        return State(
            int(thermal[1]) if thermal else None,
            int(battery["level"]) if battery.get("level", "").isdecimal() else None,
            int(battery["temperature"]) / 10 if battery.get("temperature", "").isdecimal() else None,
            "true" in powered if powered else None,
        )

    def _adb(self, *arguments: str, timeout: float, what: str, strict: bool = True) -> str:
        prefix = [adb_path(), *(["-s", self.serial] if self.serial else [])]
        return _run([*prefix, *arguments], timeout, what, strict)


def _run(command: list[str], timeout: float, what: str, strict: bool = True) -> str:
    """Return what adb prints; BenchError, in one line, where it or the phone fails, or where time runs out."""
    try:
        done = subprocess.run(
            command, capture_output=True, stdin=subprocess.DEVNULL, timeout=timeout, text=True, errors="replace"
        )
    except subprocess.TimeoutExpired as error:
        raise BenchError(f"adb: '{what}' took longer than {timeout:,.0f} s: is the phone locked or asleep?") from error
    except OSError as error:
        raise BenchError(f"adb cannot be started: {error.strerror or error}") from error
    if done.returncode and (why := _complaint(done.stderr + done.stdout, what)):
        raise BenchError(why)
    if done.returncode and strict:
        lines = [line for line in map(str.strip, (done.stderr + done.stdout).splitlines()) if line]
        said = printable(lines[-1])[:200] if lines else f"exit status {done.returncode}"
        raise BenchError(f"adb: '{what}' failed: {said}")
    return done.stdout or (done.stderr if done.returncode else "")


def _complaint(text: str, what: str) -> str | None:
    """What adb itself complains of, in words; None where it is the phone's command that failed."""
    if "No space left on device" in text:
        return f"adb: no room on the phone for '{what}': free some, for example 'adb shell rm -r {FOLDER}'"
    if found := re.search(r"(?:adb|error): device '?([^'\s]*)'? not found", text):
        return f"adb: the phone '{found[1]}' is gone: check the cable"
    if re.search(r"(?:adb|error): no devices(?:/emulators)? found", text):
        return "adb sees no phone: plug one in and switch USB debugging on (Developer options)"
    for state, words in _STATES.items():
        if re.search(rf"(?:adb|error): device (?:still )?{state}", text):
            return f"the phone {words}"
    return None
