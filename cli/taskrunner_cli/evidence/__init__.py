"""A run's signed evidence: downloaded into a folder, and verified offline."""
