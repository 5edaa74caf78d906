"""The serverless home put together: one composition for each process of a function, each part at its first use.

A module here names the adapters of one concern alone, so that a function's package holds what that function needs:
the store (`stores`), scoring (`judging`), places (`places`), the provider's posts (`inbound`), sending (`outbound`).
"""
