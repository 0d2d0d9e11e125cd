"""An app of a host: a user model without `objects`, a username and a number as its key."""
