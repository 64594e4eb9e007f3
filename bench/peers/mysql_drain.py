"""The least a client can do: read the packets of a result in blocks of 1 MB and drop them.

Arguments: URL, table, folder (not used). The end is found as any reader must: by the packets.
"""

import sys
from urllib.parse import unquote, urlsplit

import pymysql

address = urlsplit(sys.argv[1])
connection = pymysql.connect(
    host=address.hostname,
    port=address.port,
    user=unquote(address.username),
    password=unquote(address.password).encode(),
    database=address.path.lstrip("/"),
    charset="utf8mb4",
)
connection.query(f"SELECT * FROM {sys.argv[2]}", unbuffered=True)
connection._result.unbuffered_active = False  # noqa: SLF001 - the driver has no such API
read = connection._rfile.read1  # noqa: SLF001
END = 0xFE
tail = b""
while True:
    block = read(1024 * 1024)
    if not block:
        sys.exit("the connection ended before the result")
    # Only the last bytes matter: an end packet is nine bytes, and nothing follows it.
    tail = (tail + block)[-9:]
    if tail[:3] == b"\x05\x00\x00" and tail[4] == END:
        break
