"""Pressure systems of incompressible flow with air pockets, and the network that is trained on one of them."""
