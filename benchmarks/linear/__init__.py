"""Benchmarks of the linear wing: `python -m benchmarks.linear [school] [malsar] [paths] [memory]`."""
