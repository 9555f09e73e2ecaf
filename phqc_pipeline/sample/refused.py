"""What is asked of a sample that cannot be given: wrong usage, told to whoever asked.

Belongs here: the exception alone. Does not belong here: what is refused and why (where it is found).
"""


class SampleRefusedError(ValueError):
    """The arguments ask for a sample that cannot be written; the message says which argument to change, in Chinese."""
