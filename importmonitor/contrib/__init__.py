"""Optional parts; each module needs the extra, or the package, of its name."""
