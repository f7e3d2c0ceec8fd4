#!/usr/bin/env bash
# Makes the Python environment of the peer benchmarks (about 2.5 GB of downloads, 4 GB on disk).
# Runs from anywhere; running it again changes nothing. RAREFY_BENCH_VENV says where the environment goes.
set -euo pipefail
cd "$(dirname "$0")/.."
venv=${RAREFY_BENCH_VENV:-target/bench-venv}

if [ ! -x "$venv/bin/python" ]; then
    python3 -m venv "$venv"
fi

# --no-deps leaves out what the CPU never needs (triton, cuda-bindings, cuSOLVER). PyPI has no CPU-only torch for
# Linux, and this one does not load without the CUDA libraries it is linked to, although nothing here calls them.
"$venv/bin/pip" install --quiet --disable-pip-version-check --no-deps \
    torch==2.15.0 \
    numpy==2.4.6 \
    sparselab==0.2.2 \
    filelock fsspec jinja2 markupsafe mpmath networkx setuptools sympy typing-extensions \
    nvidia-cublas==13.4.1.3 \
    nvidia-cuda-cupti==13.2.86 \
    nvidia-cuda-nvrtc==13.2.86 \
    nvidia-cuda-runtime==13.2.86 \
    nvidia-cudnn-cu13==9.26.0.51 \
    nvidia-cufft==12.2.0.57 \
    nvidia-cufile==1.17.1.22 \
    nvidia-cusparse==12.7.10.12 \
    nvidia-cusparselt-cu13==0.8.1 \
    nvidia-nccl-cu13==2.30.7 \
    nvidia-nvjitlink==13.5.37 \
    nvidia-nvshmem-cu13==3.7.2

"$venv/bin/python" -c 'import torch, sparselab; print("torch", torch.__version__, "sparselab", sparselab.__version__)'
