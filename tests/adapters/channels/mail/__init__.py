"""Tests of cardwatch.adapters.channels.mail."""
