"""Files as streams with ranges, and how they go out over HTTP."""
