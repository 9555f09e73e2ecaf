"""Faults put into clean records, and the answer key of everything that is then violated.

``cells`` writes one faulty cell, ``injection`` puts record and field faults in, ``recipes`` the faults that need more
than one record, ``judge`` and ``truth`` tell what is violated in the end.
"""
