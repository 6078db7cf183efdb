"""Docker's list and prune filters: decoding, and one module per kind of object that says what they match. Pure."""
