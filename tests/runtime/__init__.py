"""Tests of what keeps the embedded process running."""
