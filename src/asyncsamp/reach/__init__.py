"""The server of rooms: `python -m asyncsamp.reach`."""
