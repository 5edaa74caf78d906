"""Importing a pickled LightGBM model: unpickled apart, read as text, its features mapped to ours, made a bundle."""
