"""The description of both interfaces in OpenAPI 3.1, and its page. Needs `[openapi]`."""
