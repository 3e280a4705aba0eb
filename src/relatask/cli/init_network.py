"""What `relatask init` proposes where a network is called for: free text, pictures, sounds, several classes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import yaml

from relatask.cli import show
from relatask.cli.config import RunConfig
from relatask.cli.extra import INSTALL, missing
from relatask.notices import InputError


def proposed(table: pa.Table, columns: Sequence[str], several: bool) -> tuple[str | None, dict[str, str]]:
    """Return the kind of network to propose, None for a linear model, and the columns that only a network reads.

    A network is proposed where there is free text, a column of pictures or of sounds, or a target of several classes,
    and the extra is installed.
    """
    from relatask.data.features.roles import role_of

    reads: dict[str, str] = {}
    for name in columns:
        try:
            role = role_of(table, name)[0]
        except InputError:  # dates: left out anyway
            continue
        if role in ("text", "image", "sound"):
            reads[name] = role
    if missing() or not (reads or several):
        return None, reads
    roles = set(reads.values())
    return "mlp" if not roles else next(iter(roles)) if len(roles) == 1 else "auto", reads


def say_of_network(network: str | None, reads: dict[str, str]) -> None:
    """Say which columns a network reads, or would."""
    told = ", ".join(f"{name} ({role})" for name, role in reads.items())
    if network is not None:
        show.say(f"Model: a network (kind: {network}){f', which reads {told}' if told else ''}.")
    elif reads:
        show.say(f"A network would read {told}: model.kind: {next(iter(reads.values()))}, with {INSTALL}")


def network_lines(config: RunConfig, reads: dict[str, str]) -> list[str]:
    """Return the lines of the model, the baselines and the output."""
    network = config.network
    assert network is not None
    told = "; ".join(f"{name} is read as {role}" for name, role in reads.items())
    widths = ", ".join(map(str, network.hidden))
    pooled = ", pooled" if config.data.by is not None and len(config.kinds) == 1 else ""
    return [
        "model:",
        f"  kind: {network.kind}  # {told or 'numbers and categories'}",
        f"  sharing: {network.sharing}  # how tasks share the hidden layers: relatask methods sharing",
        f"  hidden: [{widths}]",
        "  # how losses are weighed: relatask methods balancers. Equal ones are hard to beat (relatask compare)",
        f"  balance: {{method: {network.balance.method}}}",
        f"  epochs: {network.epochs}  # at most: training stops after patience epochs without a better validation",
        f"  patience: {network.patience}",
        f"  validation_fraction: {network.validation_fraction}  # of the training rows",
        f"  lr: {network.lr}",
        f"  batch_size: {network.batch_size}  # a sixteenth of the training rows, 16 to 256",
        f"  dropout: {network.dropout}",
        "  random_state: 0",
        "# single: each task its own network. Linear models run beside them where the inputs allow.",
        f"baselines: [single{pooled}]",
        "output:",
        f"  folder: {scalar(config.output.folder)}  # relative to this file",
    ]


def relative(data: Path, output: Path) -> str:
    """Return the table's path as seen from the configuration's folder."""
    try:
        near = os.path.relpath(data.resolve(), output.resolve().parent)
    except ValueError:  # another drive
        return str(data.resolve())
    return str(data.resolve()) if near.count("..") > 2 else Path(near).as_posix()


def scalar(value: Any) -> str:
    """Return a value as YAML writes it in one line."""
    text = yaml.safe_dump(value, allow_unicode=True, width=10_000, default_flow_style=True).strip()
    text = text.removesuffix("...").strip()
    return f'"{text}"' if isinstance(value, str) and text == value and any(mark in text for mark in ",[]{}") else text
