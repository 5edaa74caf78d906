"""What every backend of a port promises; a backend enrols with one entry in `backends.BACKENDS`."""
