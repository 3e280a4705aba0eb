"""Benchmarks of the linear wing: `python -m benchmarks.linear`, or some of its tables by name."""
