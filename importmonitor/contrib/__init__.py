"""Optional extras; each module needs the extra of its name."""
