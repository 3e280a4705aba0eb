"""Train: steps and the loop that runs them."""

from relatask.train.loop import fit
from relatask.train.losses import Losses, losses_of
from relatask.train.step import Balanced, Step

__all__ = ["Balanced", "Losses", "Step", "fit", "losses_of"]
