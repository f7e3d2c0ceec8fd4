"""Callbacks that tell others of each epoch: for ``callbacks`` of `rarefy.train` and of the estimators.

A callback is any callable that takes the epoch's record, a dict. Those here need the package they tell, and import
it when they are made.
"""

from .mlflow import MLflow
from .tensorboard import TensorBoard
from .wandb import WandB

__all__ = ["MLflow", "TensorBoard", "WandB"]


def numbers(record):
    """What of a record is a number: losses, metrics, connections, seconds."""
    return {
        key: float(value)
        for key, value in record.items()
        if key not in ("epoch", "best") and isinstance(value, (int, float))
    }
