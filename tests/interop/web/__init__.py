"""The Web Profile with real browsers and the web clients that people use."""
