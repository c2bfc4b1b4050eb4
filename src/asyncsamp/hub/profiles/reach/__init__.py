"""Rooms: clients of several machines in one conversation."""
