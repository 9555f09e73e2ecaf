"""phqc: quality control of China's basic public-health records, from delivered extracts to a published warehouse."""

__version__ = "0.1.0"
