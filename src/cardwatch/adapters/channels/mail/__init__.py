"""E-mail: what a mail looks like, and the ways it is handed in."""
