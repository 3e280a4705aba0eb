"""Train: steps and the loop that runs them."""

from relatask.train.adapters import MLflow, TensorBoard, WandB
from relatask.train.callbacks import Branch, Freeze, Gramians, LearnRelation, SaveEvery
from relatask.train.loop import fit
from relatask.train.losses import Losses, LossesOf, losses_of
from relatask.train.run import Run
from relatask.train.step import Step
from relatask.train.steps.adversarial import Adversarial
from relatask.train.steps.alternating import Alternating
from relatask.train.steps.auto_lambda import AutoLambda
from relatask.train.steps.balanced import Balanced
from relatask.train.steps.forum import FORUM
from relatask.train.steps.modo import MoDo
from relatask.train.steps.moml import MOML
from relatask.train.steps.sdmgrad import SDMGrad
from relatask.train.trained import Trained

__all__ = [
    "FORUM",
    "MOML",
    "Adversarial",
    "Alternating",
    "AutoLambda",
    "Balanced",
    "Branch",
    "Freeze",
    "Gramians",
    "LearnRelation",
    "Losses",
    "LossesOf",
    "MLflow",
    "MoDo",
    "Run",
    "SDMGrad",
    "SaveEvery",
    "Step",
    "TensorBoard",
    "Trained",
    "WandB",
    "fit",
    "losses_of",
]
