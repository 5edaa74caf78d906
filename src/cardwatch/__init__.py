"""Real-time payment-fraud detection that asks the cardholder."""

__version__ = "0.1.0"
