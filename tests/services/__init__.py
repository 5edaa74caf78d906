"""Tests of `services`; see `tests/builders.py` for the values they use."""
