"""The executors that packs name as `builtin:<name>`; the table of them is in the parent package."""
