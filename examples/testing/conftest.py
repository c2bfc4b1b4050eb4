pytest_plugins = ["asyncsamp.testing"]
