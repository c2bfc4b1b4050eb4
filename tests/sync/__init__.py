"""The synchronous client and hub."""
