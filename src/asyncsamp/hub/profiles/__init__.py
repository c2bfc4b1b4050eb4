"""The profiles: ways in which a hub speaks with clients (SAMP 1.3 §2.7)."""
