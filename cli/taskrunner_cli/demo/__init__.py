"""The demo: example packs that run on a real stack, with every expectation checked."""
