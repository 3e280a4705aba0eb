"""What a configuration file may say: one pydantic model per section, unknown keys forbidden."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

BASELINES = {
    "single": "each task alone, one strength for all, ridge",
    "single_raw": "each task alone, features not standardised",
    "pooled": "one model for all tasks, one intercept",
    "pooled_slopes": "one set of slopes for all tasks, an own intercept each",
}


class Section(BaseModel):
    """A section of the configuration: frozen, and strict about its keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


class SplitConfig(Section):
    """How rows are divided into training and test rows."""

    kind: Literal["random", "kfold", "group", "time"] = Field(
        "random", description="random rows within each task, K folds, whole groups, or the last rows in time"
    )
    test: float = Field(0.25, gt=0, lt=1, description="share of rows held out (random, group, time)")
    repeats: int = Field(10, ge=1, description="how many times (random, kfold, group) or cuts (time)")
    folds: int = Field(5, ge=2, description="number of folds (kfold)")
    column: str | None = Field(None, description="the column that holds the group or the time (group, time)")
    seed: int = Field(0, ge=0, description="where the random numbers start")

    @model_validator(mode="after")
    def _column_where_needed(self) -> SplitConfig:
        if self.kind in ("group", "time") and self.column is None:
            raise ValueError(f"kind: {self.kind} needs column: the name of the column that holds the {self.kind}")
        if self.kind in ("random", "kfold") and self.column is not None:
            raise ValueError(
                f"column: {self.column} has no meaning with kind: {self.kind}; use kind: group or kind: time"
            )
        return self


class DataConfig(Section):
    """Where the table is, and how it is divided."""

    path: str = Field(description="a CSV, TSV or Parquet file, relative to this configuration file")
    by: str | None = Field(None, description="the column whose values are the tasks; leave out if tasks are columns")
    split: SplitConfig = SplitConfig()


class FeaturesConfig(Section):
    """Which columns are inputs, and how they become numbers."""

    include: tuple[str, ...] = Field(("*",), description="names or patterns (*, ?) of input columns")
    exclude: tuple[str, ...] = Field((), description="names or patterns of columns left out")
    categorical: Literal["auto"] | tuple[str, ...] = Field(
        "auto", description="columns that hold categories; auto: those that are not numbers"
    )
    impute: Literal["mean", "median", "most_frequent"] | None = Field(
        None, description="what fills missing inputs, learned on training rows; null: missing inputs are an error"
    )
    standardize: bool = Field(True, description="mean 0 and variance 1 per column, learned on training rows")


class TaskConfig(Section):
    """One target."""

    kind: Literal["regression"] = Field("regression", description="this version fits numbers")
    target: str | None = Field(None, description="the column to predict; the task's own name if left out")
    metrics: tuple[str, ...] = Field(("explained_variance_within", "rmse"), description="see `relatask methods`")
    primary: bool = Field(False, description="the target whose first metric the verdict is about")
    weight: float = Field(1.0, ge=0, description="multiplies the task's loss")

    @field_validator("kind", mode="before")
    @classmethod
    def _kind_is_there(cls, kind: Any) -> Any:
        from relatask.tasks import KINDS

        if kind in KINDS and kind != "regression":
            raise ValueError(
                f"kind: {kind} is not there yet; this version trains linear models with squared loss. "
                "A 0/1 target may be fitted as kind: regression"
            )
        return kind


class RelationConfig(BaseModel):
    """What ties the tasks together: a name from `relatask methods`, a strength, and the relation's own options."""

    model_config = ConfigDict(extra="allow", frozen=True)

    name: str = Field("Pairwise", description="a relation from `relatask methods`")
    strength: Annotated[float, Field(ge=0, allow_inf_nan=False)] | Literal["auto"] | None = Field(
        None, description="a number >= 0, or auto: chosen by cross-validation within the training rows"
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

    kind: Literal["linear"] = Field("linear", description="this version trains linear models")
    relation: tuple[OneRelation, ...] = Field(
        (RelationConfig(name="Pairwise", strength="auto"),), description="one relation, or a list: their sum"
    )
    weighting: Literal["sum", "task", "sample"] = Field(
        "sample",
        description="weights of the losses: 1 per row (sum), 1 per task (task), t/N per row (sample)",
    )
    intercept: Literal["free", "tied", "common", "none"] = Field("free", description="how the intercepts are shared")
    solver: str = Field("auto", description="auto picks the cheapest exact one")
    tol: float = Field(1e-6, gt=0, description="relative duality gap, or relative gradient, at which the solver stops")
    max_iter: int = Field(10_000, ge=1, description="iterations at most")

    @field_validator("kind", mode="before")
    @classmethod
    def _kind_is_there(cls, kind: Any) -> Any:
        if isinstance(kind, str) and kind != "linear":
            raise ValueError(
                f"kind: {kind} is not there yet: this version trains linear models only, so write kind: linear. "
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

    version: Literal[1] = Field(1, description="of this format")
    data: DataConfig
    features: FeaturesConfig = FeaturesConfig()
    tasks: dict[str, TaskConfig] = Field(min_length=1, description="name: how to learn it")
    model: ModelConfig = ModelConfig()
    baselines: tuple[Literal["single", "single_raw", "pooled", "pooled_slopes"], ...] = Field(
        ("single", "pooled", "pooled_slopes"), description="what sharing is measured against; single is always run"
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

    @field_validator("baselines")
    @classmethod
    def _single_first(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(("single", *names)))

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
    def metrics(self) -> tuple[str, ...]:
        """Every metric asked for, the primary task's first."""
        tasks = sorted(self.tasks.values(), key=lambda task: not task.primary)
        return tuple(dict.fromkeys(metric for task in tasks for metric in task.metrics))
