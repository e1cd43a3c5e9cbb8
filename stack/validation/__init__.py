"""A batch before it enters the lake: what is new in it, its checks, its Data Docs page, quarantine, freshness."""
