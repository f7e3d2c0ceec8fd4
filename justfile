# The whole gate: format, lint, docs, README commands, tests.
check:
    .ci/run

# Kernels and steps against this machine's peak.
bench:
    cargo run --release -- bench kernels
    cargo run --release -- bench step

# Changed files for every reader, other ones in each round, until something is found or it is stopped.
fuzz:
    cargo test --release -p rarefy --test readers_survive -- --ignored --nocapture

# Runs killed as they enter each system call (needs strace), and at hundreds of moments.
kills:
    cargo test --release -p rarefy-cli --test kills -- --ignored --nocapture

# docs/settings.md, from the doc comments of the settings.
settings:
    cargo test -p rarefy-cli --test settings -- --ignored

# The Python package in the environment of this shell, and its tests.
python:
    pip install --quiet '.[sklearn]' pandas polars pyarrow joblib pytest
    pytest -q python/tests

# A wheel for Linux that runs with glibc 2.28 or later, whatever this machine has (`pip install maturin ziglang`, `apt install advancecomp`).
wheel:
    maturin build --profile wheel --zig --compatibility manylinux_2_28 --compression-level 9 --out dist
    advzip -z -4 dist/*.whl
