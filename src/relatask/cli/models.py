"""The section of a configuration that says what is trained: a linear model, or a network."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag, field_validator

from relatask.cli.splitting import Section

NETWORKS = ("auto", "mlp", "text", "image", "sound")
"""Kinds of networks: what reads the inputs."""
ROLES = ("numeric", "categorical", "text", "image", "sound", "drop")
"""What a network may read a column as."""


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


class BalanceConfig(BaseModel):
    """How the tasks are weighed against each other: a name from `relatask methods balancers`, and its own options."""

    model_config = ConfigDict(extra="allow", frozen=True)

    method: str = Field(default="equal", description="a balancer from `relatask methods balancers`, in any spelling")

    @property
    def options(self) -> dict[str, Any]:
        """The balancer's own options: what its constructor takes."""
        return dict(self.model_extra or {})


def _named(value: Any) -> Any:
    """Let `relation: TraceNorm` stand for `relation: {name: TraceNorm}`."""
    return {"name": value} if isinstance(value, str) else value


def _by_method(value: Any) -> Any:
    """Let `balance: pcgrad` stand for `balance: {method: pcgrad}`."""
    return {"method": value} if isinstance(value, str) else value


def _one_or_many(value: Any) -> Any:
    return [value] if isinstance(value, (str, dict, RelationConfig)) else value


OneRelation = Annotated[RelationConfig, BeforeValidator(_named)]


class ModelConfig(Section):
    """A linear model of all tasks together."""

    kind: Literal["linear"] = Field(
        default="linear", description="linear, or a network: mlp, text, image, sound, auto (extra relatask[deep])"
    )
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

    @field_validator("relation", mode="before")
    @classmethod
    def _listed(cls, value: Any) -> Any:
        return _one_or_many(value)

    @field_validator("relation")
    @classmethod
    def _at_least_one(cls, value: tuple[RelationConfig, ...]) -> tuple[RelationConfig, ...]:
        if not value:
            raise ValueError("expected at least one relation; for independent tasks write relation: Ridge")
        return value


class NetworkConfig(Section):
    """A network of all tasks together; its settings are those of `relatask.train.estimators.DeepMultiTask`."""

    kind: Literal["auto", "mlp", "text", "image", "sound"] = Field(
        description="what reads the inputs: numbers and categories (mlp); these and text, pictures or sounds (text, "
        "image, sound); each column as what it is (auto)"
    )
    hidden: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        default=(128, 64), description="widths of the hidden layers behind what reads the inputs"
    )
    sharing: str = Field(default="hard", description="how tasks share the hidden layers: relatask methods sharing")
    relation: tuple[OneRelation, ...] = Field(
        default=(), description="what ties the tasks' heads together, with a strength that is a number; none by default"
    )
    balance: Annotated[BalanceConfig, BeforeValidator(_by_method)] = Field(
        default=BalanceConfig(), description="how the tasks' losses are weighed: relatask methods balancers"
    )
    epochs: int = Field(default=100, ge=1, description="passes over the training rows at most")
    lr: float = Field(default=3e-3, gt=0, description="learning rate of AdamW")
    weight_decay: float = Field(default=1e-2, ge=0, description="weight decay of AdamW")
    batch_size: Annotated[int, Field(ge=1)] | Literal["auto"] = Field(
        default="auto", description="rows of a step; auto: a sixteenth of the training rows, 16 to 256"
    )
    dropout: float = Field(default=0.1, ge=0, lt=1, description="share of hidden units left out at each step")
    normalization: Literal["batch", "layer"] | None = Field(default="batch", description="of hidden layers")
    patience: int = Field(default=15, ge=1, description="epochs without a better validation before training stops")
    validation_fraction: float = Field(
        default=0.15, ge=0, lt=1, description="of the training rows, for stopping and the choice of the epoch; 0: none"
    )
    text: Literal["ngrams", "bilstm", "cnn", "transformer"] = Field(
        default="ngrams", description="how text columns are read"
    )
    image_size: tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]] = Field(
        default=(64, 64), description="height and width that pictures are brought to"
    )
    sound_rate: int = Field(default=8000, ge=1, description="samples a second that sounds are brought to")
    sound_seconds: float | None = Field(default=None, gt=0, description="the most that is read of a sound; all of it")
    random_state: int = Field(default=0, ge=0, description="seed; two runs with the same one agree bit for bit")
    device: str = Field(default="auto", description="auto, cpu, cuda, ...")

    @field_validator("relation", mode="before")
    @classmethod
    def _listed(cls, value: Any) -> Any:
        return () if value is None else _one_or_many(value)

    @field_validator("relation")
    @classmethod
    def _given(cls, value: tuple[RelationConfig, ...]) -> tuple[RelationConfig, ...]:
        for relation in value:
            if relation.strength == "auto":
                raise ValueError(
                    f"{relation.name}: a network does not choose a strength; give a number, for example strength: 0.1"
                )
        return value


def _kind(value: Any) -> Any:
    """Return which model is meant; linear if nothing is said."""
    return value.get("kind", "linear") if isinstance(value, dict) else getattr(value, "kind", "linear")


AnyModel = Annotated[
    Annotated[ModelConfig, Tag("linear")]
    | Annotated[NetworkConfig, Tag("mlp")]
    | Annotated[NetworkConfig, Tag("text")]
    | Annotated[NetworkConfig, Tag("image")]
    | Annotated[NetworkConfig, Tag("sound")]
    | Annotated[NetworkConfig, Tag("auto")],
    Discriminator(_kind),
]
"""A linear model or a network, by `kind`."""
