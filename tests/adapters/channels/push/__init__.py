"""Tests of cardwatch.adapters.channels.push."""
