"""Task labels of any type, as every wing reads them (`relatask.given.labels`)."""

from relatask.given.labels import (
    encode_labels,
    encode_tasks,
    found_in_order,
    known_codes,
    listed,
    object_array,
    task_labels,
)

__all__ = [
    "encode_labels",
    "encode_tasks",
    "found_in_order",
    "known_codes",
    "listed",
    "object_array",
    "task_labels",
]
