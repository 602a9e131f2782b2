"""The service's API: the caller's profile, the HTTP client, and the documents it exchanges."""
