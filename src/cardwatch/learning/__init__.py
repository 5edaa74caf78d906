"""Offline work: the simulator, datasets, training, and the bundle that a model ships in."""
