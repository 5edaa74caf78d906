"""Tests of cardwatch.adapters.channels.twilio."""
