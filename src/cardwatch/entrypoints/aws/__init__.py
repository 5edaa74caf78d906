"""The serverless home: the shapes of AWS's events and answers, and what each function does with them."""
