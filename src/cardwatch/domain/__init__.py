"""The vocabulary and rules of payment fraud: pure values, no I/O, no clock, no randomness."""
