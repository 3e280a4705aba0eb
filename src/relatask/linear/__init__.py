"""The linear wing: related tasks with linear models, solved to a certificate. numpy, scipy and numba; no torch."""

from relatask.linear.classifier import MultiTaskClassifier
from relatask.linear.estimators import MultiTaskRegressor
from relatask.linear.mixed import MultiTaskLinear
from relatask.linear.pooled_regressor import PooledRegressor

__all__ = ["MultiTaskClassifier", "MultiTaskLinear", "MultiTaskRegressor", "PooledRegressor"]
