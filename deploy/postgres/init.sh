#!/bin/bash
# The image runs this once, on an empty data directory: the two roles and the database between them.
# zenith_owner owns the schema and migrates; zenith_app serves requests, owns nothing and is bound by row security.
set -euo pipefail

psql --no-psqlrc --set=ON_ERROR_STOP=1 --username="${POSTGRES_USER:-postgres}" --dbname=postgres <<'SQL'
\getenv owner_password ZENITH_OWNER_PASSWORD
\getenv app_password ZENITH_APP_PASSWORD

create role zenith_owner login nosuperuser nocreatedb nocreaterole nobypassrls password :'owner_password';
create role zenith_app login nosuperuser nocreatedb nocreaterole nobypassrls noinherit password :'app_password';

create database zenith owner zenith_owner;
revoke all on database zenith from public;
grant connect on database zenith to zenith_app;
SQL
