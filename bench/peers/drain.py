"""The wire's own limit: one binary COPY received and dropped. Arguments: URL, table."""

import sys

import psycopg

url, table = sys.argv[1:3]
total = 0
with (
    psycopg.connect(url) as connection,
    connection.cursor() as cursor,
    cursor.copy(f"COPY (SELECT * FROM {table}) TO STDOUT (FORMAT binary)") as copy,
):
    for data in copy:
        total += len(data)
print(total)
