"""What an installed package does where there is nothing but NumPy and SciPy. No test of pytest's: run as a script."""

import time

import numpy
import scipy.sparse  # noqa: F401

started = time.perf_counter()
import rarefy  # noqa: E402

seconds = time.perf_counter() - started
assert seconds < 0.02, f"import rarefy took {seconds:.3f} s beyond NumPy and SciPy"

digits = rarefy.train("digits", sparsity=0.9, epochs=10)
print(f"digits: {digits.test}, {digits.model.sparsity:.1%} sparse, NumPy {numpy.__version__}")
