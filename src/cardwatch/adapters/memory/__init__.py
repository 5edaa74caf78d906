"""The reference store: dictionaries, and the obvious code for every verb of the ports.

Other stores are tested against it. It keeps nothing over the end of the process and serves one thread.
"""

from cardwatch.adapters.memory.store import MemoryStore

__all__ = ["MemoryStore"]
