"""Tables and images to bytes and back."""
