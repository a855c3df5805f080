pytest_plugins = ["sysevent.plugin"]
