"""What the studies of matrix completion share."""
