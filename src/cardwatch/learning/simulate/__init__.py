"""A seeded simulator of a card population: everyday spending by persona, fraud, and honest payments that look like it.

Everything comes from `random.Random` seeded by the caller and from integer tables, so a seed gives the same
payments on every platform. No number here was fitted to real payments; they are judgement, kept in one place each.
"""
