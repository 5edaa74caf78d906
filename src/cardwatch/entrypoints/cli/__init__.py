"""The command line: a file per group of commands, each a thin call of what the services and the learning offer."""
