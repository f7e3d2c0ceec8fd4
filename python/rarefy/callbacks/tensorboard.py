"""TensorBoard."""


class TensorBoard:
    """Tells TensorBoard of each epoch, by the ``SummaryWriter`` of PyTorch or of tensorboardX.

    Parameters
    ----------
    log_dir : path, optional
        Where its files go; as ``SummaryWriter`` has it if not given.
    """

    def __init__(self, log_dir=None):
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            try:
                from tensorboardX import SummaryWriter
            except ImportError:
                raise ImportError("TensorBoard needs torch and tensorboard, or tensorboardX") from None
        self._writer = SummaryWriter(log_dir)

    def __call__(self, record):
        from . import numbers

        for name, value in numbers(record).items():
            self._writer.add_scalar(name, value, record["epoch"])
        self._writer.flush()

    def close(self):
        """Close the files."""
        self._writer.close()
