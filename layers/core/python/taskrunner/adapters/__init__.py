"""The ports over AWS, one file per service, under the names of the ports they serve."""
