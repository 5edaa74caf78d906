"""Tests of `domain`; see `tests/builders.py` for the values they use."""
