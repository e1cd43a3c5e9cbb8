"""What everything stands on: settings, errors, files, the state database and its migrations, alerts, disk space."""
