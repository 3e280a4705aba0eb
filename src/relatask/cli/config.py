"""What a configuration file may say: one pydantic model per section, unknown keys forbidden."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

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
    max_categories: int = Field(default=30, ge=2, description="columns at most that one text column becomes")
    impute: Literal["median", "mean", "none"] = Field(
        default="none", description="what fills missing numbers, learned on training rows; none: they are an error"
    )
    standardize: bool = Field(default=True, description="mean 0 and variance 1 per column, learned on training rows")


TARGET_METRICS: dict[str, tuple[str, ...]] = {
    "regression": ("explained_variance_within", "rmse"),
    "binary": ("d2_within", "log_loss", "auc_mean_of_tasks"),
    "count": ("d2_within", "poisson_deviance"),
}
"""What a target's metrics are where nothing is said."""


class TaskConfig(Section):
    """One target."""

    kind: Literal["regression", "binary", "count"] = Field(
        default="regression",
        description="regression: a number; binary: one of two values, text or numbers; count: a number >= 0 of events",
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
                f"{kind!r} is not there yet: this version has {', '.join(TARGET_METRICS)}. "
                "Several classes: a target of kind binary for each"
            )
        return kind

    @model_validator(mode="before")
    @classmethod
    def _metrics_of_the_kind(cls, raw: Any) -> Any:
        if isinstance(raw, dict) and "metrics" not in raw and raw.get("kind") in TARGET_METRICS:
            return {**raw, "metrics": TARGET_METRICS[raw["kind"]]}
        return raw


class RelationConfig(BaseModel):
    """What ties the tasks together: a name from `relatask methods`, a strength, and the relation's own options."""

    model_config = ConfigDict(extra="allow", frozen=True)

    name: str = Field(default="Pairwise", description="a relation from `relatask methods`")
    strength: Annotated[float, Field(ge=0, allow_inf_nan=False)] | Literal["auto"] | None = Field(
        default=None, description="a number >= 0, or auto: chosen by cross-validation within the training rows"
    )

    @property
    def options(self) -> dict[str, Any]:
        """The relation's own options: what the constructor takes beside the strength."""
        return dict(self.model_extra or {})


def _named(value: Any) -> Any:
    """Let `relation: TraceNorm` stand for `relation: {name: TraceNorm}`."""
    return {"name": value} if isinstance(value, str) else value


OneRelation = Annotated[RelationConfig, BeforeValidator(_named)]


class ModelConfig(Section):
    """The model of all tasks together."""

    kind: Literal["linear"] = Field(default="linear", description="this version trains linear models")
    relation: tuple[OneRelation, ...] = Field(
        default=(RelationConfig(name="Pairwise", strength="auto"),), description="one relation, or a list: their sum"
    )
    weighting: Literal["sum", "task", "sample"] = Field(
        default="sample",
        description="weights of the losses: 1 per row (sum), 1 per task (task), t/N per row (sample)",
    )
    intercept: Literal["free", "tied", "common", "none"] = Field(
        default="free", description="how the intercepts are shared"
    )
    scale_targets: bool = Field(
        default=False,
        description="divide each task's labels by their standard deviation on training rows before the relation acts: "
        "for targets of different units",
    )
    solver: Literal["auto", "direct", "admm", "fista", "working_sets"] = Field(
        default="auto", description="auto picks the cheapest exact one"
    )
    tol: float = Field(
        default=1e-6, gt=0, description="relative duality gap, or relative gradient, at which the solver stops"
    )
    max_iter: int = Field(default=10_000, ge=1, description="iterations at most")

    @field_validator("kind", mode="before")
    @classmethod
    def _kind_is_there(cls, kind: Any) -> Any:
        if isinstance(kind, str) and kind != "linear":
            raise ValueError(
                f"{kind!r} is not there yet: this version trains linear models only, so write kind: linear. "
                "Networks will come with the extra relatask[deep]; installing it changes nothing here today"
            )
        return kind

    @field_validator("relation", mode="before")
    @classmethod
    def _one_or_many(cls, value: Any) -> Any:
        return [value] if isinstance(value, (str, dict, RelationConfig)) else value

    @field_validator("relation")
    @classmethod
    def _at_least_one(cls, value: tuple[RelationConfig, ...]) -> tuple[RelationConfig, ...]:
        if not value:
            raise ValueError("expected at least one relation; for independent tasks write relation: Ridge")
        return value


class OutputConfig(Section):
    """Where results go."""

    folder: str = Field(description="the run folder, relative to this configuration file")


class RunConfig(Section):
    """A run: data, features, tasks, model, baselines, output."""

    version: Literal[1] = Field(default=1, description="of this format")
    data: DataConfig
    features: FeaturesConfig = FeaturesConfig()
    tasks: dict[str, TaskConfig] = Field(min_length=1, description="name: how to learn it")
    model: ModelConfig = ModelConfig()
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
        """The baselines that run: common slopes with own intercepts for groups only, pooled ones for one kind only."""
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
