"""Runs: a task of several parts on real data each, told beside what others published. `make runs` makes them all."""
