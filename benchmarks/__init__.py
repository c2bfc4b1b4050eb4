"""What the hubs can do, side by side: `python -m benchmarks` from the root of the project."""
