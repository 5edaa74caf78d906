"""The page at `/`: its routes, its event stream, and what a person does with it."""
