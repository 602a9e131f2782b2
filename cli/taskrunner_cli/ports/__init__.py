"""The parts of this machine that tests replace: time, and the local stack."""
