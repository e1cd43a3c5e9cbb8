"""The prediction log: what was asked, with which features, what was answered, and later what was true."""
