"""In: Kafka to the warehouse."""

import os

# Matrices here are small: another thread of BLAS would mostly wait for them, and waits by turning. Numpy reads this when it is loaded.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
