"""What docs/which-relation.md shows, computed: `python -m benchmarks.guide`, or `make guide`."""
