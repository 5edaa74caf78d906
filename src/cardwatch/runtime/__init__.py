"""What makes one process of the parts: settings, bootstrap, the writer and what runs beside it, telemetry."""
