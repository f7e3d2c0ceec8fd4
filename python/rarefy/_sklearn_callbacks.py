"""scikit-learn's callbacks (``set_callbacks``), where the installed version has them."""

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:

    class CallbackSupportMixin:
        """Nothing: scikit-learn before 1.9 has no callbacks."""

    def with_callbacks(method):
        return method


class FitTasks:
    """Tells scikit-learn's callbacks of a fit and of each of its epochs.

    Parameters
    ----------
    estimator : estimator
        The one being fitted.
    epochs : int
        The most epochs.
    X, y : array-like
        What it is fitted to.
    sample_weight : array-like or None
        The weights of the samples.
    """

    def __init__(self, estimator, epochs, X, y, sample_weight):
        self.is_heard = bool(getattr(estimator, "_skl_callbacks", None))
        metadata = None if sample_weight is None else {"sample_weight": sample_weight}
        self._given = {"estimator": estimator, "X": X, "y": y, "metadata": metadata}
        if hasattr(estimator, "_init_callback_context"):
            self._fit = estimator._init_callback_context(max_subtasks=epochs)
            self._fit.call_on_fit_task_begin(**self._given)
        else:
            self._fit = None

    def end_epoch(self, attributes):
        """Tells of an epoch; ``attributes`` makes a fitted estimator of the one being fitted. Whether to stop."""
        if not self.is_heard:
            return False
        epoch = self._fit.subcontext(task_name="epoch")
        epoch.call_on_fit_task_begin(**self._given)
        return epoch.call_on_fit_task_end(**self._given, reconstruction_attributes=lambda: attributes)

    def end(self, attributes):
        """Tells that the fit is done."""
        if self._fit is not None:
            self._fit.call_on_fit_task_end(**self._given, reconstruction_attributes=lambda: attributes)
