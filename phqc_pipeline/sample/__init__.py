"""Demonstration data: what real institutions would deliver, with the answer key of the faults put in.

``write_sample`` writes landing extracts, registry and answer key of a home, the same bytes for the same arguments.
"""

from phqc_pipeline.sample.refused import SampleRefusedError
from phqc_pipeline.sample.summary import SampleSummary
from phqc_pipeline.sample.write import DEFAULT_SNAPSHOT, write_sample

__all__ = ["DEFAULT_SNAPSHOT", "SampleRefusedError", "SampleSummary", "write_sample"]
