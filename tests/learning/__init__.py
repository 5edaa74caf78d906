"""Tests of offline work: simulator, datasets, training, and the packaged model."""
