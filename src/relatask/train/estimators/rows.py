"""X as a person gives it: an array checked by scikit-learn, or a frame or table whose columns may be anything."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.utils.validation import validate_data

from relatask.data.features.rows import Rows, rows_of
from relatask.notices import InputError


class Probe(BaseEstimator):
    """Stands in for an estimator while scikit-learn looks at X, so that a fit that fails leaves no trace."""


def read_rows(owner: Any, X: Any, *, reset: bool) -> Rows:
    """Give X as rows of named columns, known to the estimator from now on (`reset`) or checked against its fit.

    Raises
    ------
    InputError
        For other columns than in fit, infinite numbers, arrays that hold no numbers, sparse ones, no rows.
    """
    if isinstance(X, Rows):
        return X
    if sparse.issparse(X):
        raise InputError("Sparse data was passed for X, but dense data is required; use X.toarray().")
    try:
        if isinstance(X, pa.Table | Mapping):
            found = rows_of(X)
            if reset:
                owner.feature_names_in_ = np.array(found.names, dtype=object)
                owner.n_features_in_ = len(found.names)
        elif hasattr(X, "columns"):
            validate_data(owner, X, reset=reset, skip_check_array=True)
            found = rows_of(X)
        else:
            found = rows_of(
                validate_data(owner, X, reset=reset, dtype=(np.float64, np.float32), ensure_all_finite="allow-nan")
            )
    except InputError:
        raise
    except ValueError as error:
        message = str(error)
        hint = " Give text and categories as the columns of a frame." if "could not convert" in message else ""
        raise InputError(f"{message.rstrip('.')}.{hint}" if hint else message) from error
    if found.length == 0:
        raise InputError("X has 0 rows (0 sample(s)); at least one is required.")
    return found
