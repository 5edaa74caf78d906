"""What an earlier process left: killed in the middle of work, or stopped."""
