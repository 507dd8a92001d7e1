"""Quality, control, decoder fidelity and latency of text-to-image diffusion methods, in one honest table.

The package is lazy: importing it costs nothing, its public names are imported when they are first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_PUBLIC = {
    "Adapter": "adapters.base",
    "BenchError": "core.errors",
    "Codec": "adapters.codecs.base",
    "Request": "datasets.request",
    "Run": "reports.schema",
    "Traits": "adapters.base",
    "load_run": "reports.loaded",
}

if TYPE_CHECKING:
    from .adapters.base import Adapter, Traits
    from .adapters.codecs.base import Codec
    from .core.errors import BenchError
    from .datasets.request import Request
    from .reports.loaded import load_run
    from .reports.schema import Run

__all__ = ["Adapter", "BenchError", "Codec", "Request", "Run", "Traits", "__version__", "load_run"]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_PUBLIC[name]}", __name__), name)
