"""Weights & Biases."""


class WandB:
    """Tells Weights & Biases of each epoch.

    Parameters
    ----------
    run : wandb run, optional
        A run that is begun already, which stays open. Without one a new run is begun with `options`, and ends with
        the training.
    **options
        Those of ``wandb.init``, as in ``project="digits"``.
    """

    def __init__(self, run=None, **options):
        self._is_own = run is None
        if run is None:
            try:
                import wandb
            except ImportError:
                raise ImportError("WandB needs wandb: pip install wandb") from None
            run = wandb.init(**options)
        self._run = run

    def __call__(self, record):
        from . import numbers

        self._run.log(numbers(record), step=record["epoch"])

    def close(self):
        """End the run, if it was begun here."""
        if self._is_own:
            self._run.finish()
