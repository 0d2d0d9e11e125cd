"""Whether the admin's pages stay as fast among a million operations as among a thousand."""

#: How the names of pages begin whose filters no index joins. What they take grows with the rows
#: that the rarer filter finds: they are told, and have no goal.
TWO_FILTERS = "two filters"
