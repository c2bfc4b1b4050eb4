"""Programs of others that use astropy.samp or pyvo.samp, unmodified from PyPI."""
