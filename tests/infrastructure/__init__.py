"""Tests of the scripts under infrastructure/."""
