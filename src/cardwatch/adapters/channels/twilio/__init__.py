"""Texts through Twilio: sending, looking up, and what it posts back."""
