"""Tests of the report about a model, and of what it measures."""
