"""What a configuration file may say: one pydantic model per section, unknown keys forbidden."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from relatask.cli.models import ROLES, AnyModel, BalanceConfig, ModelConfig, NetworkConfig, RelationConfig
from relatask.cli.splitting import GroupSplit, RandomSplit, Section, SplitConfig, TimeSplit


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """End a sentence: with the nearest known name if there is one, otherwise with a full stop."""
    lowered = {other.lower(): other for other in known}
    near = difflib.get_close_matches(name.lower(), lowered, n=1, cutoff=0.6)
    return f"; did you mean {lowered[near[0]]!r}?" if near else "."


class DataConfig(Section):
    """Where the table is, and how it is divided."""

    path: str = Field(
        description="a CSV, TSV or Parquet file, or a folder of Parquet parts, relative to this configuration file"
    )
    by: str | None = Field(
        default=None, description="the column whose values are the tasks; leave out if tasks are columns"
    )
    split: SplitConfig = Field(default=RandomSplit(), description="how rows are divided")


class FeaturesConfig(Section):
    """Which columns are inputs, and how they become numbers."""

    include: tuple[str, ...] = Field(default=("*",), description="names or patterns (*, ?) of input columns")
    exclude: tuple[str, ...] = Field(default=(), description="names or patterns of columns left out")
    categorical: Literal["auto"] | tuple[str, ...] = Field(
        default="auto", description="columns of numbers that are categories; columns of text always are"
    )
    max_categories: int | None = Field(
        default=None,
        ge=2,
        description="columns at most that one text column becomes (30), or for a network values with a code (1000)",
    )
    impute: Literal["median", "mean", "none"] = Field(
        default="none",
        description="what fills missing numbers, learned on training rows; none: they are an error. A network always "
        "fills in the median, and marks them",
    )
    standardize: bool = Field(
        default=True, description="mean 0 and variance 1 per column, learned on training rows; a network always does"
    )
    roles: dict[str, Literal["numeric", "categorical", "text", "image", "sound", "drop"]] = Field(
        default={}, description="for networks, what a column is read as where that is not what is found: {note: text}"
    )


TARGET_METRICS: dict[str, tuple[str, ...]] = {
    "regression": ("explained_variance_within", "rmse"),
    "binary": ("d2_within", "log_loss", "auc_mean_of_tasks"),
    "count": ("d2_within", "poisson_deviance"),
    "multiclass": ("d2_within", "log_loss", "error_rate"),
}
"""What a target's metrics are where nothing is said."""


class TaskConfig(Section):
    """One target."""

    kind: Literal["regression", "binary", "count", "multiclass"] = Field(
        default="regression",
        description="regression: a number; binary: one of two values, text or numbers; count: a number >= 0 of events; "
        "multiclass: one of several values, text or whole numbers (networks only)",
    )
    target: str | None = Field(default=None, description="the column to predict; the task's own name if left out")
    metrics: tuple[str, ...] = Field(
        default=TARGET_METRICS["regression"],
        description="see `relatask methods`; left out, those of the kind (of two classes d2_within, log_loss, auc)",
    )
    primary: bool = Field(default=False, description="the target whose first metric the verdict is about")

    @field_validator("kind", mode="before")
    @classmethod
    def _kind_is_there(cls, kind: Any) -> Any:
        from relatask.tasks import KINDS

        if isinstance(kind, str) and kind in KINDS and kind not in TARGET_METRICS:
            raise ValueError(
                f"{kind!r} is no kind of a table's column: expected {', '.join(TARGET_METRICS)}. "
                "Other kinds are trained from Python: relatask.train.fit"
            )
        return kind

    @model_validator(mode="before")
    @classmethod
    def _metrics_of_the_kind(cls, raw: Any) -> Any:
        if isinstance(raw, dict) and "metrics" not in raw and raw.get("kind") in TARGET_METRICS:
            return {**raw, "metrics": TARGET_METRICS[raw["kind"]]}
        return raw


class OutputConfig(Section):
    """Where results go."""

    folder: str = Field(description="the run folder, relative to this configuration file")


class RunConfig(Section):
    """A run: data, features, tasks, model, baselines, output."""

    version: Literal[1] = Field(default=1, description="of this format")
    data: DataConfig
    features: FeaturesConfig = FeaturesConfig()
    tasks: dict[str, TaskConfig] = Field(min_length=1, description="name: how to learn it")
    model: AnyModel = ModelConfig()
    baselines: tuple[Literal["single", "single_raw", "pooled", "pooled_slopes"], ...] = Field(
        default=("single", "pooled", "pooled_slopes"),
        description="what sharing is measured against; single is always run",
    )
    output: OutputConfig

    @field_validator("tasks", mode="before")
    @classmethod
    def _names_and_defaults(cls, tasks: Any) -> Any:
        if not isinstance(tasks, dict):
            return tasks
        for name in tasks:
            if isinstance(name, bool):
                raise ValueError(f"a task's name was read as {name}; put it in quotes")
        return {str(name): {} if task is None else task for name, task in tasks.items()}

    @field_validator("tasks")
    @classmethod
    def _metrics_are_known(cls, tasks: dict[str, TaskConfig]) -> dict[str, TaskConfig]:
        from relatask.measure import METRICS
        from relatask.measure.catalogue import KINDS_OF, metrics_of

        for name, task in tasks.items():
            for metric in task.metrics:
                if metric not in METRICS:
                    raise ValueError(
                        f"{name}: there is no metric {metric!r}{did_you_mean(metric, METRICS)} "
                        f"Expected some of: {', '.join(METRICS)}"
                    )
                if task.kind not in KINDS_OF[metric]:
                    raise ValueError(
                        f"{name}: {metric} is no metric of kind {task.kind}. "
                        f"Expected some of: {', '.join(metrics_of([task.kind]))}"
                    )
        return tasks

    @field_validator("baselines")
    @classmethod
    def _single_first(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(("single", *names)))

    @property
    def beside(self) -> tuple[str, ...]:
        """The baselines that run: common slopes with own intercepts for groups only, pooled ones for one kind only.

        Beside a network run networks: each task alone, and of groups one for all. (And linear models, where they can.)
        """
        if self.network is not None:
            grouped = self.data.by is not None
            return tuple(name for name in self.baselines if name == "single" or (name == "pooled" and grouped))
        there = [name for name in self.baselines if self.data.by is not None or name != "pooled_slopes"]
        return tuple(name for name in there if len(self.kinds) == 1 or not name.startswith("pooled"))

    @model_validator(mode="after")
    def _targets(self) -> RunConfig:
        if self.data.by is not None and len(self.tasks) > 1:
            raise ValueError(
                f"tasks: with data.by ({self.data.by}) each group is a task, so one target is expected, "
                f"got {len(self.tasks)} ({', '.join(self.tasks)}); keep one, or leave data.by out"
            )
        targets = [self.target(name) for name in self.tasks]
        twice = sorted({target for target in targets if targets.count(target) > 1})
        if twice:
            raise ValueError(f"tasks: the column {twice[0]!r} is the target of two tasks")
        if sum(task.primary for task in self.tasks.values()) > 1:
            raise ValueError("tasks: primary: true is expected on one task at most")
        return self

    @model_validator(mode="after")
    def _several_classes(self) -> RunConfig:
        several = [name for name, task in self.tasks.items() if task.kind == "multiclass"]
        if several and self.network is None:
            raise ValueError(
                f"tasks.{several[0]}.kind: multiclass is for networks here: write model.kind: mlp (or text, image, "
                "sound); for linear models, a target of kind binary for each class"
            )
        if self.features.roles and self.network is None:
            raise ValueError("features.roles: is for networks; linear models have features.categorical and exclude")
        return self

    @property
    def network(self) -> NetworkConfig | None:
        """The model's section, where it is a network."""
        return self.model if isinstance(self.model, NetworkConfig) else None

    @property
    def linear(self) -> ModelConfig:
        """The model's section, where it is linear."""
        assert isinstance(self.model, ModelConfig)
        return self.model

    def target(self, name: str) -> str:
        """The column that the task predicts."""
        return self.tasks[name].target or name

    @property
    def targets(self) -> tuple[str, ...]:
        """The target columns, in the order of the tasks."""
        return tuple(self.target(name) for name in self.tasks)

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of the targets, each once."""
        return tuple(dict.fromkeys(task.kind for task in self.tasks.values()))

    @property
    def binary(self) -> tuple[str, ...]:
        """The target columns that hold two classes."""
        return tuple(self.target(name) for name, task in self.tasks.items() if task.kind == "binary")

    @property
    def several(self) -> tuple[str, ...]:
        """The target columns that hold several classes."""
        return tuple(self.target(name) for name, task in self.tasks.items() if task.kind == "multiclass")

    @property
    def split_column(self) -> str | None:
        """The column that splits follow."""
        split = self.data.split
        return split.column if isinstance(split, (GroupSplit, TimeSplit)) else None

    @property
    def metrics(self) -> tuple[str, ...]:
        """Every metric asked for, the primary task's first."""
        from relatask.measure.catalogue import suits

        first = "explained_variance_within" if self.data.by is not None else "r2_mean_of_tasks"
        empty = TARGET_METRICS | {"regression": (first, "rmse")}
        tasks = sorted(self.tasks.values(), key=lambda task: not task.primary)
        named = [metric for task in tasks for metric in task.metrics or empty[task.kind]]
        if len(self.kinds) > 1:  # squared errors, log losses and deviances have no common unit
            named = ["d2_mean_of_tasks", "d2", *(metric for metric in named if suits(metric, self.kinds))]
        return tuple(dict.fromkeys(named))

    @property
    def judged(self) -> tuple[str, str]:
        """The metric of a task, and the one over all tasks, that the verdict is about: the first asked for."""
        from relatask.measure.catalogue import overall_metric, task_metric
        from relatask.measure.formulas import OVERALL, PER_TASK

        if len(self.kinds) > 1:
            return "d2", "d2_mean_of_tasks"
        metric = next((name for name in self.metrics if name in PER_TASK), task_metric(self.metrics[0]))
        return metric, next((name for name in self.metrics if name in OVERALL), overall_metric(self.metrics[0]))


__all__ = [
    "ROLES",
    "TARGET_METRICS",
    "BalanceConfig",
    "DataConfig",
    "FeaturesConfig",
    "ModelConfig",
    "NetworkConfig",
    "OutputConfig",
    "RelationConfig",
    "RunConfig",
    "TaskConfig",
    "did_you_mean",
]
