"""What a policy would do to a day of suspicious payments: the real services, in memory, by a virtual clock.

Nothing is sent and nothing of the data folder is written. Holders and providers are models with stated assumptions.
"""
