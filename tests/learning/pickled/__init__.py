"""Importing pickled models, hostile ones among them."""
