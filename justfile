# The whole gate: format, lint, docs, README commands, tests.
check:
    .ci/run

# Kernels and steps against this machine's peak.
bench:
    cargo run --release -- bench kernels
    cargo run --release -- bench step
