"""What makes one process of the parts: settings, bootstrap, the pump, telemetry."""
