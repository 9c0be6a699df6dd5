"""Scripts that make what is committed: stubs, gallery, constants; and the check of the arrows."""
