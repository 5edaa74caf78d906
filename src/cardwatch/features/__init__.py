"""The one definition of every feature, run online and offline by the same code over integer state."""
