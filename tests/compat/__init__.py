"""The names of astropy.samp."""
