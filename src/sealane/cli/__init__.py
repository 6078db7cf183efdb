"""The ``sealane`` command line: Docker's grammar, over the Engine API of any Docker-compatible socket.

How a call runs: :mod:`main` finds the verb in the table of :mod:`verbs`, imports only that verb's module from
``commands``, parses the rest with :mod:`grammar` and calls it. What is heavy (help, completion, progress, terminals)
is imported when it is needed: starting Python costs about as much as Docker's whole ``ps``, so nothing may be wasted.
"""
