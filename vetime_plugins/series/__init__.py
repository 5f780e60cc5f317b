"""Raw arrays, their images, and scores: everything about a series that needs no network."""
