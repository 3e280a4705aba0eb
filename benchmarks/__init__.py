"""Benchmarks: ratios taken in one process, never a timed test."""
