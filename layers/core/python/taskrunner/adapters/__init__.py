"""The ports over AWS. A module has the name of its port; the other modules are parts of several."""
