"""Between the wire types of ``schema`` and the types of the engine, in both directions. Pure."""
