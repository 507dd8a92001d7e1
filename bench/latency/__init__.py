"""Latency per device: fresh processes timed in turns, and what their samples say."""
