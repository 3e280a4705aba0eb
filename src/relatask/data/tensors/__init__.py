"""Data as tensors, for networks: sources of parts, samplers between them, a loader of batches. Needs torch."""

from relatask.data.batch import Batch, Part
from relatask.data.tensors.dealing import Sampler
from relatask.data.tensors.foreign import TorchDataset, TorchLoaders
from relatask.data.tensors.loader import Count, Loader
from relatask.data.tensors.long import LongTable, per_task
from relatask.data.tensors.multimodal import Multimodal
from relatask.data.tensors.pictures import Augment, Pictures
from relatask.data.tensors.samplers import (
    SAMPLERS,
    Explicit,
    Proportional,
    RoundRobin,
    Temperature,
    Together,
    Uniform,
    sampler,
)
from relatask.data.tensors.sequences import Sequences
from relatask.data.tensors.sounds import Sounds
from relatask.data.tensors.sources import Columns, Source

__all__ = [
    "SAMPLERS",
    "Augment",
    "Batch",
    "Columns",
    "Count",
    "Explicit",
    "Loader",
    "LongTable",
    "Multimodal",
    "Part",
    "Pictures",
    "Proportional",
    "RoundRobin",
    "Sampler",
    "Sequences",
    "Sounds",
    "Source",
    "Temperature",
    "Together",
    "TorchDataset",
    "TorchLoaders",
    "Uniform",
    "per_task",
    "sampler",
]
