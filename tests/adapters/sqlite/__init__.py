"""What only the SQLite store promises: durability, its file, its locks, and how it fails."""
