"""A synchronous client of the Docker Engine API: addresses, HTTP/1.1 over a socket, version negotiation, streams.

It knows nothing of the command line. It imports as little as possible (no asyncio, no typing at run time, no data
classes), because for a short command such as ``ps`` the import of modules is what takes the time.
"""
