"""phqc: quality control of China's basic public-health records, from delivered extracts to a published warehouse."""

import os

# Polars gives memory back to the system after half a second, only to ask for it again for the next batch of records: a
# sixth of the record rules' processor time. Ten seconds is its allocator's own default. Read when Polars is imported.
os.environ.setdefault("_RJEM_MALLOC_CONF", "dirty_decay_ms:10000,muzzy_decay_ms:10000")

__version__ = "0.1.0"
