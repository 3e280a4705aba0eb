"""The linear wing: related tasks with linear models, solved to a certificate. numpy, scipy and numba; no torch."""

from relatask.linear.classifier import MultiTaskClassifier
from relatask.linear.classifier_cv import MultiTaskClassifierCV
from relatask.linear.estimators import MultiTaskRegressor
from relatask.linear.kernels.estimator import MultiTaskKernelRidge
from relatask.linear.mixed import MultiTaskLinear
from relatask.linear.pooled_regressor import PooledRegressor
from relatask.linear.regressor_cv import MultiTaskRegressorCV

__all__ = [
    "MultiTaskClassifier",
    "MultiTaskClassifierCV",
    "MultiTaskKernelRidge",
    "MultiTaskLinear",
    "MultiTaskRegressor",
    "MultiTaskRegressorCV",
    "PooledRegressor",
]
