"""A model measured on payments that it has not seen, and the report about it: one HTML file that needs nothing else."""
