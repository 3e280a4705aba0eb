"""The linear wing: related tasks with linear models, solved to a certificate. numpy and scipy; no torch."""

from relatask.linear.estimators import MultiTaskRegressor, PooledRegressor

__all__ = ["MultiTaskRegressor", "PooledRegressor"]
