"""Files that no one in this project wrote, through the whole of it."""
