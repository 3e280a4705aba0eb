"""Estimators: networks of several tasks with the manners of scikit-learn, for tables, text, pictures and sounds."""

from relatask.train.estimators.base import DeepEstimator
from relatask.train.estimators.classifier import DeepMultiTaskClassifier
from relatask.train.estimators.mixed import DeepMultiTask
from relatask.train.estimators.regressor import DeepMultiTaskRegressor

__all__ = ["DeepEstimator", "DeepMultiTask", "DeepMultiTaskClassifier", "DeepMultiTaskRegressor"]
