"""The pages that people look at; everything they show comes through the services."""
