"""Scripts that run in the environments of other tools, which have neither sanityd nor its
packages."""
