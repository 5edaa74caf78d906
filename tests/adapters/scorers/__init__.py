"""Tests of what scores payments."""
