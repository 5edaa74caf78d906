"""Tests of the HTTP edge, on the application itself and over real HTTP."""
