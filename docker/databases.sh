#!/bin/sh
# A database and a user for each tool that keeps one. PostgreSQL's image runs this once, when its volume is new.
set -eu
for name in mlflow prefect feast state; do
  password=$(printenv "$(echo "$name" | tr '[:lower:]' '[:upper:]')_PASSWORD")
  psql --quiet --username postgres --no-password --set ON_ERROR_STOP=1 --set name="$name" --set password="$password" <<'SQL'
CREATE ROLE :"name" LOGIN PASSWORD :'password';
CREATE DATABASE :"name" OWNER :"name";
SQL
done
