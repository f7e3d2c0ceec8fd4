"""What an installed package does where there is nothing but NumPy and SciPy. No test of pytest's: run as a script."""

import subprocess
import sys

import rarefy

IMPORT = """
import time
import numpy, scipy.sparse
started = time.perf_counter()
import rarefy
print(time.perf_counter() - started)
"""
# The fastest of three: the first may wait for the disk.
seconds = min(float(subprocess.check_output([sys.executable, "-c", IMPORT])) for _ in range(3))
assert seconds < 0.02, f"import rarefy took {seconds:.3f} s beyond NumPy and SciPy"

digits = rarefy.train("digits", sparsity=0.9, epochs=10)
print(f"digits: {digits.test}, {digits.model.sparsity:.1%} sparse, imported in {seconds * 1e3:.1f} ms")
