"""Features of whole files: payments are split by key, replayed by several processes and put together in order.

Memory stays the same whatever the size of the file; what is finished lies in a folder, so that work that was stopped
goes on where it was.
"""
