"""Where the outside enters: HTTP and the command line."""
