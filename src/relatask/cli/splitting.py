"""The sections of a configuration that say how rows are divided, and what all sections are."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag


class Section(BaseModel):
    """A section of the configuration: frozen, and strict about its keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


class RandomSplit(Section):
    """Random rows, drawn within each task where tasks are groups."""

    kind: Literal["random"] = "random"
    test: float = Field(default=0.25, gt=0, lt=1, description="share of each task's rows to test on")
    repeats: int = Field(default=10, ge=1, description="how many splits")
    seed: int = Field(default=0, ge=0, description="of the first split")


class KFoldSplit(Section):
    """K folds within each task."""

    kind: Literal["kfold"]
    k: int = Field(default=5, ge=2, description="folds")
    repeats: int = Field(default=1, ge=1, description="how many times")
    seed: int = Field(default=0, ge=0, description="of the first repeat")


class GroupSplit(Section):
    """Whole groups (patients, sites) held out: rows of one group are never on both sides."""

    kind: Literal["group"]
    column: str = Field(description="the column that says which group a row belongs to")
    k: int = Field(default=5, ge=2, description="folds")


class TimeSplit(Section):
    """Forward in time: each block of rows is tested by a model of all that lies before it."""

    kind: Literal["time"]
    column: str = Field(description="the column that rows are ordered by")
    k: int = Field(default=5, ge=1, description="splits")


SPLITS: dict[str, type[Section]] = {"random": RandomSplit, "kfold": KFoldSplit, "group": GroupSplit, "time": TimeSplit}


def _kind(value: Any) -> Any:
    """Return which split is meant; random if nothing is said."""
    return value.get("kind", "random") if isinstance(value, dict) else getattr(value, "kind", "random")


SplitConfig = Annotated[
    Annotated[RandomSplit, Tag("random")]
    | Annotated[KFoldSplit, Tag("kfold")]
    | Annotated[GroupSplit, Tag("group")]
    | Annotated[TimeSplit, Tag("time")],
    Discriminator(_kind),
]
