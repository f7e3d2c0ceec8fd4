"""The compiled part. Private: what it offers may change with any version."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from .comm import Comm

__version__: str

def follow_path(
    settings_text: str,
    lambdas: int,
    lambda_max: float | None,
    lambda_min_ratio: float,
    from_sparse: bool,
    samples: Samples | None = None,
    listen: Callable[[str], object] | None = None,
    file: str | None = None,
) -> tuple[list[tuple[str, Model]], int | None, int | None, list[float], BaseException | None]: ...
def complete_settings(text: str, file: str | None = None) -> str: ...
def check_pattern(rows: int, cols: int, block: int, crow: NDArray[np.int32], col: NDArray[np.int32]) -> None: ...
def random_pattern(rows: int, cols: int, nnz: int, block: int, seed: int) -> list[NDArray[np.int32]]: ...
def block_height(settings_text: str, alike: int) -> int: ...
def sparse_times_dense(
    shape: tuple[int, int],
    crow: NDArray[np.int32],
    col: NDArray[np.int32],
    values: NDArray[np.float32],
    dense: NDArray[np.float32],
    transposed: bool,
    threads_wanted: int,
) -> NDArray[np.float32]: ...
def products_of_rows(
    shape: tuple[int, int],
    crow: NDArray[np.int32],
    col: NDArray[np.int32],
    left: NDArray[np.float32],
    right: NDArray[np.float32],
    threads_wanted: int,
) -> NDArray[np.float32]: ...
def convolve(
    sizes: tuple[list[int], list[int], list[list[int]], int],
    crow: NDArray[np.int32],
    col: NDArray[np.int32],
    values: NDArray[np.float32],
    images: NDArray[np.float32],
    transposed: bool,
    threads_wanted: int,
) -> NDArray[np.float32]: ...
def convolution_gradient(
    sizes: tuple[list[int], list[int], list[list[int]], int],
    crow: NDArray[np.int32],
    col: NDArray[np.int32],
    images: NDArray[np.float32],
    gradient: NDArray[np.float32],
    threads_wanted: int,
) -> NDArray[np.float32]: ...
def settings_page() -> str: ...
def target_setting(text: str) -> tuple[str, float]: ...
def inspect_model(model: Model) -> str: ...
def evaluate_model(model: Model, samples: Samples | None = None, path: str | None = None) -> str: ...
def predict_file(
    model: Model, path: str
) -> tuple[NDArray[np.float64], NDArray[np.uint32] | None, list[str] | None]: ...
def compare(
    folder: str,
    title: str,
    sweep: str | None = None,
    file: str | None = None,
    folds: int | None = None,
    jobs: int | None = None,
    baseline: str | None = None,
    listen: Callable[[str], object] | None = None,
) -> tuple[str, BaseException | None]: ...

class Samples:
    @staticmethod
    def dense(rows: NDArray[np.float32], inputs: int) -> Samples: ...
    @staticmethod
    def wide(rows: NDArray[np.float64]) -> Samples: ...
    @staticmethod
    def csr(
        inputs: int, indptr: NDArray[np.uint64], indices: NDArray[np.uint32], data: NDArray[np.float32]
    ) -> Samples: ...
    @staticmethod
    def tokens(ids: NDArray[np.uint32], steps: int, vocabulary: int) -> Samples: ...
    @staticmethod
    def table(stream: object) -> tuple[Samples, list[str]]: ...
    @staticmethod
    def texts(texts: list[str]) -> Samples: ...
    def with_shape(self, height: int, width: int, channels: int) -> None: ...
    def with_lengths(self, lengths: NDArray[np.uint32]) -> None: ...
    def with_classes(self, classes: NDArray[np.uint32], names: list[str]) -> None: ...
    def with_numbers(self, numbers: NDArray[np.float64], outputs: int) -> None: ...
    def with_labels(self, values: NDArray[np.float64], labels: int) -> None: ...
    def with_weights(self, weights: NDArray[np.float32]) -> None: ...
    def with_groups(self, groups: NDArray[np.uint32]) -> None: ...
    def with_feature_names(self, names: list[str]) -> None: ...
    def with_target_names(self, names: list[str]) -> None: ...
    def __len__(self) -> int: ...

class Trainer:
    def __init__(
        self,
        settings_text: str,
        train: Samples,
        validation: Samples | None = None,
        start: Model | None = None,
        by_samples: tuple[float | None, int | None] = (None, None),
    ) -> None: ...
    def train(
        self,
        listen: Callable[[str, Model | None], object] | None = None,
        epochs: int | None = None,
        lends_models: bool = False,
    ) -> tuple[str, str, BaseException | None]: ...
    def model(self) -> Model: ...
    def set_data(self, train: Samples) -> None: ...
    def notes(self) -> list[str]: ...
    def note_on_density(self) -> str | None: ...
    def training_samples(self) -> int: ...
    def emptied(self) -> str | None: ...

class Run:
    @staticmethod
    def start(
        settings_text: str,
        file: str | None = None,
        directory: str | None = None,
        samples: Samples | None = None,
        comm: Comm | None = None,
    ) -> Run: ...
    @staticmethod
    def resume(
        directory: str, threads: int | None = None, epochs: int | None = None, comm: Comm | None = None
    ) -> Run: ...
    def train(self, listen: Callable[[str], object] | None = None) -> tuple[str, Model, BaseException | None]: ...
    def summary(self, twin: str, listen: Callable[[str], object] | None = None) -> tuple[str, BaseException | None]: ...
    def settings(self) -> str: ...
    def notes(self) -> list[str]: ...

class Model:
    @staticmethod
    def open(path: str) -> Model: ...
    @staticmethod
    def from_bytes(bytes: bytes) -> Model: ...
    def to_bytes(self) -> bytes: ...
    def save(self, path: str) -> None: ...
    def set_threads(self, threads: int) -> None: ...
    def config(self) -> str: ...
    def connections(self) -> tuple[int, int]: ...
    def layers(self) -> list[tuple[str, int, int, int]]: ...
    def table_columns(self) -> list[tuple[str, int, int]]: ...
    def predict(self, samples: Samples) -> NDArray[np.float64]: ...
    def classes(self, samples: Samples) -> NDArray[np.uint32]: ...
    def weights(
        self,
    ) -> list[tuple[str, tuple[int, int], NDArray[np.int32], NDArray[np.int32], NDArray[np.float32]]]: ...
    def vectors(self) -> list[tuple[str, NDArray[np.float32]]]: ...

class Chain:
    def __init__(self, spec: str, patterns: list[tuple[NDArray[np.int32], NDArray[np.int32]]]) -> None: ...
    def forward(
        self,
        x: NDArray[np.float32],
        parameters: list[NDArray[np.float32] | None],
        y: NDArray[np.float32],
        statistics: NDArray[np.float32],
        seed: int | None,
        training: bool,
        keeps: bool,
        threads: int,
    ) -> Ticket | None: ...

class Ticket:
    def backward(
        self,
        gradient: NDArray[np.float32],
        parameters: list[NDArray[np.float32] | None],
        input: NDArray[np.float32] | None,
        gradients: list[NDArray[np.float32] | None],
        threads: int,
    ) -> None: ...

class Topology:
    def __init__(self, settings_text: str) -> None: ...
    def settings(self) -> str: ...
    def counts(self, shapes: list[list[int]]) -> list[tuple[int, int]]: ...
    def draw(
        self, shape: tuple[int, int], nnz: int, block: int, layer: int
    ) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float32]]: ...
    def largest(
        self, weights: NDArray[np.float32], shape: tuple[int, int], nnz: int, block: int
    ) -> tuple[NDArray[np.int32], NDArray[np.int32]]: ...
    def is_due(self, step: int, total: int, epoch: int) -> bool: ...
    def asks_for(self) -> tuple[bool, bool, bool]: ...
    def changes_counts(self) -> tuple[bool, bool]: ...
    def update(
        self,
        layers: list[
            tuple[
                tuple[int, int],
                int,
                NDArray[np.int32],
                NDArray[np.int32],
                NDArray[np.float32],
                NDArray[np.float32] | None,
                int,
                list[tuple[Ticket, int]],
            ]
        ],
        progress: tuple[int, int, int],
        threads_wanted: int,
    ) -> list[tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float32], NDArray[np.int64]] | None]: ...

class Preparation:
    def __init__(self, text: str) -> None: ...
    @staticmethod
    def learn(
        settings_text: str, samples: Samples, weights: NDArray[np.float32] | None = None
    ) -> tuple[Preparation, NDArray[np.float32]]: ...
    def apply(self, samples: Samples) -> NDArray[np.float32]: ...
    def input_names(self) -> list[str]: ...

class Design:
    @staticmethod
    def dense(rows: NDArray[np.float32], features: int, threads: int) -> Design: ...
    @staticmethod
    def csr(
        features: int,
        indptr: NDArray[np.uint64],
        indices: NDArray[np.uint32],
        data: NDArray[np.float32],
        threads: int,
    ) -> Design: ...
    @staticmethod
    def csc(
        samples: int,
        indptr: NDArray[np.uint64],
        indices: NDArray[np.uint32],
        data: NDArray[np.float32],
        threads: int,
    ) -> Design: ...
    def lambda_max(
        self,
        targets: NDArray[np.float64],
        weights: NDArray[np.float64] | None,
        loss_name: str,
        intercept: bool,
        l1_ratio: float,
    ) -> float: ...
    def solve(
        self,
        targets: NDArray[np.float64],
        weights: NDArray[np.float64] | None,
        loss_name: str,
        intercept: bool,
        lambdas: NDArray[np.float64],
        l1_ratio: float,
        tolerance: float,
        max_iterations: int,
    ) -> tuple[dict[str, NDArray], BaseException | None]: ...
