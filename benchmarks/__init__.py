"""Measurements that anyone can repeat: ``python -m benchmarks`` lists them."""

import os

# as where the command runs (``streams/__init__.py``)
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
