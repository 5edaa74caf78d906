"""Tests of the scripts under lambdas/."""
