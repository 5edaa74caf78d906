"""Ways of computing features, which must not differ in any bit."""
