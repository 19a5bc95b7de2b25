"""How frames look: pictures of arrays, and of what a store has."""
