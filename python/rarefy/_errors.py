"""What may go wrong."""


class Error(Exception):
    """Whatever rarefy itself refuses or fails at."""


class InternalError(Error):
    """A mistake in rarefy. Please report it."""


class SettingError(Error, ValueError):
    """A setting with a value that cannot be used.

    Attributes
    ----------
    key : str
        The dotted key, as in ``sparsity.density``.
    problem : str
        What is wrong, and what to do.
    parameter : str or None
        The parameter of an estimator that it came from.
    """

    def __init__(self, key, problem, parameter=None):
        super().__init__(f"{key}: {problem}" if parameter is None else f"{parameter} ({key}): {problem}")
        self.key, self.problem, self.parameter = key, problem, parameter

    def __reduce__(self):
        return type(self), (self.key, self.problem, self.parameter)


class InputError(Error, ValueError):
    """Arrays that cannot be samples."""


class DataError(Error, ValueError):
    """A data file that does not hold what it should.

    Attributes
    ----------
    path : str
        The file.
    at : str or None
        Where in it, as in ``line 7, column "age"``.
    """

    def __init__(self, message, path=None, at=None):
        super().__init__(message, path, at)
        self.path, self.at = path, at

    def __str__(self):
        return self.args[0]


class ModelError(Error, ValueError):
    """A model or a checkpoint that cannot be used.

    Attributes
    ----------
    path : str
        The file.
    """

    def __init__(self, message, path=None):
        super().__init__(message, path)
        self.path = path

    def __str__(self):
        return self.args[0]


class FileError(Error, OSError):
    """The operating system refused: a file that is missing, a disk that is full.

    Attributes
    ----------
    path : str
        The file.
    """

    def __init__(self, message, path=None, errno=None):
        super().__init__(message, path, errno)
        self.path, self.errno = path, errno

    def __str__(self):
        return self.args[0]


class RankError(Error):
    """A rank of several that train together is gone, does not answer, or has other data, settings or weights.

    Attributes
    ----------
    rank : int
        The rank, counted from 0.
    """

    def __init__(self, message, rank=None):
        super().__init__(message, rank)
        self.rank = rank

    def __str__(self):
        return self.args[0]


class DivergedError(Error, ArithmeticError):
    """Training left the finite numbers.

    Attributes
    ----------
    step : int
        The step, counted from 1.
    """

    def __init__(self, message, step=None):
        super().__init__(message, step)
        self.step = step

    def __str__(self):
        return self.args[0]
