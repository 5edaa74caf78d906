"""Tests of `adapters`; see `tests/builders.py` for the values they use."""
