"""Tables that tests read."""
