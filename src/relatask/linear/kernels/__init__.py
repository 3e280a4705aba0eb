"""Kernel ridge regression of related tasks, and its reading as a Gaussian process."""
