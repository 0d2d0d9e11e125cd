"""The description of both HTTP faces in OpenAPI 3.1, and a page. Needs `[openapi]`."""
