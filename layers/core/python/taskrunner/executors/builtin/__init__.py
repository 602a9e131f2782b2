"""The executors that packs name as `builtin:<name>`, one module each."""
