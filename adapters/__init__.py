"""One module a framework; import that of the framework you have, e.g. ``vetime_plugins.adapters.pyod``."""
