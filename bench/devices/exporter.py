"""The fresh process that exports one method to one device: ``python -m t2ibench.bench.devices.exporter``."""

from __future__ import annotations

from collections.abc import Sequence

from ..latency.worker import Order, answer_questions, sample_request
from .base import Part


class Exporter:
    """One method and one device; the questions are its public methods."""

    def load(self, order: Order) -> dict[str, int]:
        """Load the method; return the parameters of the stages to be exported."""
        from ...adapters import make_adapter
        from ...adapters.base import Settings
        from ...core.weights import WeightsFinder
        from ..startup import quiet_libraries
        from . import make_device
        from .exported import Exported

        quiet_libraries()
        device = make_device(order.device)
        assert isinstance(device, Exported)
        self.device, self.order = device, order
        self.adapter = make_adapter(order.method, Settings(**order.sampling))
        self.adapter.weights = WeightsFinder(offline=order.offline)
        return device.rehearse(self.adapter, order.dtype)

    def export(self, parts: Sequence[Part]) -> None:
        """Export what the method calls in making a picture, or its stages as they are."""
        self.device.export(self.adapter, sample_request(self.order, self.adapter.traits), parts)


if __name__ == "__main__":
    answer_questions(Exporter())
