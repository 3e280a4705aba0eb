"""Train: steps and the loop that runs them."""

from relatask.train.callbacks import Freeze, LearnRelation
from relatask.train.loop import fit
from relatask.train.losses import Losses, LossesOf, losses_of
from relatask.train.run import Run
from relatask.train.step import Step
from relatask.train.steps.balanced import Balanced
from relatask.train.trained import Trained

__all__ = ["Balanced", "Freeze", "LearnRelation", "Losses", "LossesOf", "Run", "Step", "Trained", "fit", "losses_of"]
