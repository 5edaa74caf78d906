"""Seeded simulation of whole conversations under every fault at once; `test_simulation.py` says how to replay one."""
