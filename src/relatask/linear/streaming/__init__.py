"""More rows than memory, more machines than one, a million tasks: what is learned from sums, some of them at a time."""
