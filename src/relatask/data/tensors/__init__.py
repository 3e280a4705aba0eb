"""Data as tensors, for networks: sources of parts, samplers between them, a loader of batches. Needs torch."""

from relatask.data.batch import Batch, Part
from relatask.data.tensors.loader import Loader
from relatask.data.tensors.samplers import Proportional, Sampler
from relatask.data.tensors.sources import Columns, Source

__all__ = ["Batch", "Columns", "Loader", "Part", "Proportional", "Sampler", "Source"]
