"""The setup guide's own commands, as a person would type them."""
