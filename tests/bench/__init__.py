"""Measurements, run by `scripts/bench`: ratios from interleaved runs, never part of the tests."""
