"""In: Kafka to the warehouse."""

import os

# Matrices here are small: another thread of BLAS would mostly wait for them, and waits by turning. Numpy reads this when it is loaded.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
# What a worker decodes would otherwise be cut in two, and one half wait for the core that the database is on.
os.environ.setdefault("POLARS_MAX_THREADS", "1")
