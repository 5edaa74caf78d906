"""The serverless home's functions."""
