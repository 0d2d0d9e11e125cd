"""The host project, with two views that its endpoint is compared with."""
