"""The relay by a page of the browser, without a browser."""
