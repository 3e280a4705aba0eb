"""Kernel ridge regression of related tasks."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.gaussian_process.kernels import Kernel

from relatask.linear.input import reading
from relatask.linear.input.labels import known_codes, object_array
from relatask.linear.kernels.checks import settings_of
from relatask.linear.kernels.features import read_kernel
from relatask.linear.kernels.fit import fitted
from relatask.linear.kernels.nested import nested_kernels, resolved_kernels
from relatask.linear.kernels.path import KernelPath
from relatask.linear.kernels.spread import predicted
from relatask.linear.kernels.tasks import read_task_kernel
from relatask.linear.multitask import MultiTaskEstimator
from relatask.linear.scoring import explained
from relatask.linear.sums.forms import Array
from relatask.notices import InputError
from relatask.relations import Relation


class MultiTaskKernelRidge(RegressorMixin, MultiTaskEstimator):
    """Functions of related tasks in the space of a task kernel times a kernel between rows; a Gaussian process.

    ``min over f, b   sum_k c_k sum_i s_i 1/2 (f(x_i, k) + b_k - y_i)^2 + strength/2 ||f||^2``

    with ||f|| the norm of the reproducing kernel Hilbert space of ``T[k, l] K(x, z)``, T (t, t) between tasks, and c_k
    as in `MultiTaskRegressor`. With ``kernel="linear"`` it is ``MultiTaskRegressor(TaskKernel(T, strength))``. Read as
    a Gaussian process: f has prior covariance ``amplitude_ T[k, l] K(x, z)``, free intercepts a flat prior, and a label
    of weight s_i noise of variance ``amplitude_ strength / (c_k s_i)``; predictions are posterior means.

    Parameters
    ----------
    task_kernel : array (t, t), DataFrame, relation, "independent", "pooled", "learned", or float in [0, 1]
        T: in the order of `tasks_`; labelled, perhaps with tasks that are not fitted; the inverse of a quadratic
        relation's precision; the identity; all ones; learned by marginal likelihood as B B' + diag(kappa); or
        ``(1 - rho) I + rho 11'``.
    kernel : str, kernel of sklearn.gaussian_process.kernels, or callable
        K, on standardised columns unless ``standardize=False``. A name of `sklearn.metrics.pairwise.pairwise_kernels`,
        or "precomputed": X is (n, n) in fit and (m, n) in predict.
    kernel_params : mapping, optional
        Of a kernel by name: ``{"gamma": 0.1}``.
    strength : float > 0 or "auto"
        "auto": the best of 25 by `criterion`; learned, where the marginal likelihood is maximised.
    criterion : {"loo", "gcv", "likelihood"}
        "loo": squared error of rows left out, each with all of its labels, in closed form. "gcv": generalised
        cross-validation. "likelihood": the marginal likelihood at its best amplitude.
    optimize_kernel : bool
        Whether the free parameters of a Gaussian-process kernel are learned by marginal likelihood.
    rank : int
        Columns of B.
    noise : {"task", "common"}
        Whether learned noise differs between tasks (then it replaces `weighting`).
    amplitude : float or "auto"
        The prior variance as a multiple of the kernel; "auto" maximises the marginal likelihood. Only variances and
        likelihoods depend on it.
    weighting : {"sample", "task", "sum"}
        The loss weights c_k.
    intercept : {"free", "none"}
        One a task, not penalised; or none. (A constant added to the kernel is an intercept that tasks share by T.)
    standardize : bool
        As in `MultiTaskRegressor`.
    solver : {"auto", "eigen", "cholesky", "cg"}
        Two eigendecompositions (tasks on the same rows, no label missing); a dense factor; conjugate gradients
        preconditioned by Nystroem's approximation. "auto" chooses by structure and size.
    tol : float
        Relative residual of conjugate gradients.
    max_iter : int
        Of conjugate gradients, and of each maximisation.
    landmarks : int, optional
        Labels that span the preconditioner; 3 sqrt(N) by default.
    max_memory : float
        Bytes that tiles of the kernel may take; beyond, they are computed anew in every product.
    learn_labels : int
        The marginal likelihood is maximised on at most this many labels, drawn within tasks (four times as many rows
        where tasks share them and the kernel is fixed).
    n_starts : int
        Of the maximisation; the best is kept.
    random_state : int
        Of landmarks, of later starts, and of the labels drawn.
    task_column : optional
        As in `MultiTaskRegressor`.

    Attributes
    ----------
    task_kernel_ : array (t, t)
        T.
    kernel_, kernel_params_ : str, kernel or callable, and dict
        K with its learned parameters.
    dual_coef_ : array (n,), or (n, t) where y was (n, t)
        alpha: ``f(x, k) = sum_i T[k, k_i] K(x, x_i) alpha_i``; 0 where a label is missing.
    X_fit_, rows_ : array (n, d), array (n,)
        Rows that have labels, in units of the kernel and by place in what was given; sorted by task, for groups.
    intercept_ : array (t,)
        b.
    strength_, amplitude_ : float
        As given, chosen or learned.
    noise_variance_ : array (t,)
        Of a label of weight 1.
    log_marginal_likelihood_ : float or None
        Of all labels, free intercepts integrated out under a flat prior of density 1; None under "cg".
    degrees_of_freedom_ : float or None
        Trace of the matrix that maps labels to fitted values, where eigenvalues are known.
    path_ : KernelPath or None
        Strengths tried, and their errors.
    learning_ : array (n_starts,) or None
        Log marginal likelihoods that the starts ended with.
    solver_ : str
        The one used.
    tasks_, n_labels_, objective_, residual_, n_iter_, strengths_, n_features_in_, feature_names_in_
        As in `MultiTaskRegressor`; `residual_` is the relative residual of the system for alpha.

    Raises
    ------
    InputError
        For input or parameters that cannot be used.

    References
    ----------
    Evgeniou, Micchelli, Pontil: Learning multiple tasks with kernel methods, 2005, JMLR 6. Bonilla, Chai, Williams:
    Multi-task Gaussian process prediction, 2008, NIPS. Rasmussen, Williams: Gaussian processes for machine learning,
    2006, chapters 2 and 5.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.linspace(0, 6, 30)[:, None]
    >>> Y = np.column_stack([np.sin(X[:, 0]), 2 + np.sin(X[:, 0])])
    >>> model = MultiTaskKernelRidge(task_kernel=0.9, kernel_params={"gamma": 1.0}).fit(X, Y)
    >>> model.predict([[1.5]]).round(2)
    array([[1., 3.]])
    """

    _takes_sparse = False

    task_kernel_: Array
    kernel_: Any
    dual_coef_: Array
    strength_: float
    amplitude_: float
    noise_variance_: Array
    new_tasks_: NDArray
    path_: KernelPath | None  # type: ignore[assignment]

    def __init__(
        self,
        task_kernel: ArrayLike | Relation | str | float = 0.5,
        kernel: str | Kernel | Callable[[Array, Array], float] = "rbf",
        *,
        kernel_params: Mapping[str, Any] | None = None,
        strength: float | str = "auto",
        criterion: str = "loo",
        optimize_kernel: bool = False,
        rank: int = 1,
        noise: str = "task",
        amplitude: float | str = "auto",
        weighting: str = "sample",
        intercept: str = "free",
        standardize: bool = True,
        solver: str = "auto",
        tol: float = 1e-8,
        max_iter: int = 1_000,
        landmarks: int | None = None,
        max_memory: float = 1e9,
        learn_labels: int = 1_000,
        n_starts: int = 3,
        random_state: int = 0,
        task_column: Hashable | None = None,
    ) -> None:
        self.task_kernel = task_kernel
        self.kernel = kernel
        self.kernel_params = kernel_params
        self.strength = strength
        self.criterion = criterion
        self.optimize_kernel = optimize_kernel
        self.rank = rank
        self.noise = noise
        self.amplitude = amplitude
        self.weighting = weighting
        self.intercept = intercept
        self.standardize = standardize
        self.solver = solver
        self.tol = tol
        self.max_iter = max_iter
        self.landmarks = landmarks
        self.max_memory = max_memory
        self.learn_labels = learn_labels
        self.n_starts = n_starts
        self.random_state = random_state
        self.task_column = task_column

    def predict(
        self, X: Any, tasks: Any = None, *, return_std: bool = False, noise: bool = True
    ) -> Array | tuple[Array, Array]:
        """Predict each row for its own task, or for every task.

        Parameters
        ----------
        X : (n, d)
            Features, as in fit; with a precomputed kernel (n, rows given to fit).
        tasks : (n,), optional
            The task of each row; needed where the model was fitted with tasks.
        return_std : bool
            Whether to give posterior standard deviations too.
        noise : bool
            Whether these are of labels of weight 1 about their predictions, or of f(x, k) + b_k alone.

        Returns
        -------
        predictions : (n,), or (n, t) where the model was fitted on y (n, t)
        std : the same shape, with `return_std`

        Raises
        ------
        InputError
            For a task that neither fit nor a labelled task kernel knows; for tasks missing where they are needed; for
            the spread of a task that was not fitted (its noise is not known, nor a free intercept).
        """
        X, codes = self._rows(X, tasks)
        if return_std:
            self._check_spread(codes, noise)
        mean, variance = predicted(self, X, codes, return_std)
        if variance is None:
            return mean.reshape(-1) if self._fit_layout == "one" else mean
        if noise:
            own = self.noise_variance_
            variance = variance + (own if codes is None else own[codes])
        return mean, np.sqrt(variance)

    def score(self, X: Any, y: Any, tasks: Any = None, sample_weight: Any = None) -> float:
        """Explained variance within tasks: 1 - sum_k SSE_k / sum_k SST_k over the observed labels.

        Parameters
        ----------
        X, y, tasks, sample_weight
            As in fit.

        Returns
        -------
        float, at most 1; NaN where no task's labels vary.
        """
        return explained(self, X, y, tasks, sample_weight)

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Parameters; with `deep`, those of the kernels too: `kernel__length_scale`, `task_kernel__strength`."""
        params = BaseEstimator.get_params(self, deep=False)
        return {**params, **nested_kernels(params)} if deep else params

    def set_params(self, **params: Any) -> MultiTaskKernelRidge:
        """Set parameters; those of a kernel replace it by a new one, nothing passed in is mutated."""
        for name, value in resolved_kernels(params, self.get_params(deep=False), type(self).__name__).items():
            setattr(self, name, value)
        return self

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.pairwise = isinstance(self.kernel, str) and self.kernel == "precomputed"
        return tags

    def _check_parameters(self) -> None:
        settings_of(self)

    def _fitted(self, X: Any, y: Any, tasks: Any, sample_weight: Any) -> dict[str, Any]:
        """Everything that fit learns, by attribute name."""
        kernel = read_kernel(self.kernel, self.kernel_params)
        X, tasks = reading.split_task_column(X, tasks, self.task_column)
        probe = reading.Probe()
        X = reading.features(probe, X, reset=True)
        # Rows are told apart by their places, which a design keeps in step with labels.
        places = np.arange(len(X), dtype=np.float64)[:, None]
        layout, design = reading.design(places, y, tasks, sample_weight)
        between = read_task_kernel(self.task_kernel, design.tasks)
        found = fitted(design, X, layout, kernel, between, settings_of(self))
        return {**vars(probe), "_fit_layout": layout, **found}

    def _check_spread(self, codes: NDArray[np.intp] | None, noise: bool) -> None:
        """Raise InputError where variances are not known."""
        if isinstance(self.kernel_, str) and self.kernel_ == "precomputed":
            raise InputError("return_std needs the kernel of each new row with itself, which X does not hold.")
        new = codes is not None and codes.size and codes.max() >= len(self.tasks_)
        if codes is not None and new and (noise or self.fit_free_):
            name = self.new_tasks_.tolist()[codes.max() - len(self.tasks_)]
            raise InputError(
                f"task {name!r} was not fitted: the variance of its noise and of a free intercept are not known; "
                "predict without return_std, or under intercept='none' with noise=False."
            )

    def _codes(self, tasks: Any, n: int) -> NDArray[np.intp] | None:
        """The task of each of n rows, those only the task kernel knows behind the others."""
        if tasks is None or self._fit_layout == "one" or not len(self.new_tasks_):
            return super()._codes(tasks, n)
        return known_codes(tasks, n, object_array([*self.tasks_.tolist(), *self.new_tasks_.tolist()]))
