"""What parameters and attributes of linear models mean, said once."""

from ._docstrings import documenting

PARAMETERS = """\
alphas : int or array-like, default=100
    How many strengths of the penalty, each the same part of the one before; or themselves.
eps : float, default=1e-3
    The smallest over the largest, which is about the smallest that uses no feature.
cv : int, splitter or None, default=None
    The folds; None for 5.
l1_ratio : float, default=1.0
    The part of the penalty that is L1, above 0; the rest is L2.
fit_intercept : bool, default=True
    Whether there is an intercept. No penalty pulls at it.
class_weight : dict, "balanced" or None, default=None
    How much the samples of each class count; "balanced": all classes alike.
sample_weight : array-like of shape (n_samples,), default=None
    How much each sample counts.
max_iter : int, default=10000
    Passes over the features that matter, at most; of a path for each alpha.
tol : float, default=1e-4
    The precision: the duality gap to reach, as a part of the objective without features.
n_jobs : int or None, default=None
    Threads; None and -1 for all that the process may use. It changes no result.
settings : dict or None, default=None
    How the columns of a data frame become numbers, by dotted keys, as in ``{"data.date": ["built"]}``.
return_names : bool, default=False
    Whether the names of the coefficients, as ``coef_names_`` of the estimator has them, come last."""

_ATTRIBUTES = """\
sparse_coef_ : csr_array of shape (n_targets, n_coefs)
    The coefficients without the zeros, a row for each target or class; of two classes one, for the second.
coef_names_ : ndarray of shape (n_coefs,)
    What each coefficient is for: a feature, or a category of one as in ``town=Ulm``.
n_iter_ : int
    Passes made, the most over targets or classes.
n_features_in_ : int
    Features seen in ``fit``: the columns of a frame, be their coefficients more.
feature_names_in_ : ndarray of shape (n_features_in_,)
    Their names, where they had some."""

documented = documenting(PARAMETERS, _ATTRIBUTES)
