"""Ways to reach a cardholder."""
