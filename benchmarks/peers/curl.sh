#!/bin/sh
# Less than that: sh benchmarks/peers/curl.sh FILE URL USER_ID TOKEN
{
  printf "CREATE TABLE IF NOT EXISTS operation (id PRIMARY KEY, status, payload);
    INSERT INTO operation
      SELECT json_extract(payload, '$.operation._id'), json_extract(payload, '$.operation.status'), payload
      FROM (SELECT '"
  curl --silent --fail --header "X-User-Id: $3" --header "X-Auth-Token: $4" \
    "$2/api/v1/getCurrentImportOperation" | sed "s/'/''/g"
  printf "' AS payload) WHERE true
      ON CONFLICT (id) DO UPDATE SET status = excluded.status, payload = excluded.payload;"
} | sqlite3 "$1"
