"""Studies of sketching and sampling."""
