"""Files on a server: which bytes of them are asked for, how they come, and what is kept of them."""
