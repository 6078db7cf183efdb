"""Names for containers that were given none: a word for the sea's mood and a word for what is found there. Pure."""

from __future__ import annotations

from random import Random
from typing import Final

_MOOD_WORDS: Final = (
    "amber ashore bold brave bright brisk briny calm clear cool coral crisp deep drifting eager early easy fair fleet "
    "foggy fresh gentle glad golden grand high hoisted jolly keen kind light lively lucky mellow merry mild misty "
    "moored neat noble open pearly placid proud quick quiet rolling sandy serene silver sleek smooth snug spry steady "
    "sunny swift tidal tidy trim true vivid warm wavy windy wise"
)
_FIND_WORDS: Final = (
    "anchor atoll barge bay beacon boom bosun bow breeze buoy cape channel cove current cutter deck delta dinghy dock "
    "dolphin estuary ferry fjord gale galley gannet gull harbor heron hull inlet isle jetty keel ketch kelp lagoon "
    "lantern lighthouse lock marlin mast mooring oar osprey otter petrel pier pilot port puffin quay reef rigging "
    "rudder sail schooner seal sextant shoal skiff sloop sound spar starfish strait tern tide trawler turtle whale "
    "wharf yawl"
)


def random_name(random: Random) -> str:
    """``calm_harbor`` and the like, with a number so that two thousand containers hardly clash."""
    return f"{random.choice(_MOOD_WORDS.split())}_{random.choice(_FIND_WORDS.split())}{random.randrange(100)}"
