"""The embedded store: one SQLite file in WAL mode with full synchronisation, one writer, group commit."""
