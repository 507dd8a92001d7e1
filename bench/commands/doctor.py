"""``bench doctor``."""

from __future__ import annotations

from .options import Json


def doctor(json_: Json = False) -> None:
    """Say what works on this machine, what is missing, and how to get it."""
    from ..doctor import doctor_command

    doctor_command(json_)
