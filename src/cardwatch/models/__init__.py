"""The format of a model bundle, and the default model that ships with the package.

A bundle is a folder of text that anyone can read and compare; `bundle` reads, verifies and writes it.
"""
