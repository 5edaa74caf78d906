"""What tests of whole processes share."""
