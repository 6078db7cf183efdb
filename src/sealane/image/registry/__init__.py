"""Talking to registries: the distribution specification's pull side, with Docker's habits."""
