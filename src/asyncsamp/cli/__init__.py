"""The command `asyncsamp`. Only `asyncsamp.__main__` imports it; it needs the extra `cli`."""
