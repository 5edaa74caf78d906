"""Tests of `fakes`; see `tests/builders.py` for the values they use."""
