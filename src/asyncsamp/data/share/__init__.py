"""What a client serves to others: contents, over HTTP or as local files."""
