"""Images: their names, manifests and configurations, the store on disk, safe unpacking, registries.

May import ``linux``, ``values`` and ``errors``; knows nothing of containers or networks.
"""
