"""Tests of `adapters/channels`; see `tests/builders.py` for the values they use."""
