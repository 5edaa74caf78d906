"""The page behind a link: what a cardholder without a telephone at hand answers a question on."""
