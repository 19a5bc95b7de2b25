"""Discovery: a protocol proposed for files that nobody described, and the reason of each choice.

``words`` has our field's names, ``frames`` and ``attributes`` choose among what a tour of a file
has seen (all three are pure), ``builtin`` asks the built-in protocols, ``proposal`` puts all
together. ``matching`` tells what a protocol finds in files, and why it does not find the rest.
"""

from .matching import Match, Miss, match
from .proposal import Discovery, discover

__all__ = ["Discovery", "Match", "Miss", "discover", "match"]
