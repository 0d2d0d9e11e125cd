"""The cost of many workspaces: pages, the watch, and its sharing among processes."""
