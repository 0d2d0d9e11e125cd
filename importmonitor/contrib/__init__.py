"""Optional extras, each importable only where its extra is installed."""
