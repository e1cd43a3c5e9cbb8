"""The worker of a machine that trains for another one."""
