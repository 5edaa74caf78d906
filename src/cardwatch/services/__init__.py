"""One use case a file: each reads through ports, decides, and hands the store a list of changes."""
