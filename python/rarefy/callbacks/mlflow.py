"""MLflow."""


class MLflow:
    """Tells MLflow of each epoch: in the run that is active, or else in a new one, which ends with the training.

    Parameters
    ----------
    **options
        Those of ``mlflow.start_run``, as in ``run_name="digits"``.
    """

    def __init__(self, **options):
        try:
            import mlflow
        except ImportError:
            raise ImportError("MLflow needs mlflow: pip install mlflow") from None
        self._mlflow = mlflow
        self._is_own = mlflow.active_run() is None
        if self._is_own:
            mlflow.start_run(**options)

    def __call__(self, record):
        from . import numbers

        self._mlflow.log_metrics(numbers(record), step=record["epoch"])

    def close(self):
        """End the run, if it was begun here."""
        if self._is_own:
            self._mlflow.end_run()
