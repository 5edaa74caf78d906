"""Models behind the Scorer port."""
