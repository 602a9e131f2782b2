"""The parts of this machine that tests replace: time, randomness and the local stack."""
