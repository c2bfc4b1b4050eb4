"""Tables, images and selections: what people have SAMP for (needs the extra `astropy`, loaded when used)."""
