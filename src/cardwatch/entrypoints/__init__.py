"""Where the outside enters: HTTP, the command line, AWS events."""
