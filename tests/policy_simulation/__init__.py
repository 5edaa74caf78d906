"""A policy tried on a day before it goes live."""
