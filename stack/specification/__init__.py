"""``projects/<name>/project.yaml`` as typed objects: sections, request fields, tasks."""
