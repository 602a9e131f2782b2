"""The media type of a file by its ending, from one table.

Python's `mimetypes` reads the tables of the machine it runs on, and so differs between machines.
"""

from __future__ import annotations

from typing import Final

UNKNOWN: Final = "application/octet-stream"

_BY_ENDING: Final = {
    "bmp": "image/bmp",
    "bz2": "application/x-bzip2",
    "cer": "application/pkix-cert",
    "css": "text/css",
    "csv": "text/csv",
    "diff": "text/x-diff",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "gif": "image/gif",
    "gz": "application/gzip",
    "htm": "text/html",
    "html": "text/html",
    "ico": "image/vnd.microsoft.icon",
    "jar": "application/java-archive",
    "jpeg": "image/jpeg",
    "jpg": "image/jpeg",
    "js": "text/javascript",
    "json": "application/json",
    "jsonl": "application/x-ndjson",
    "log": "text/plain",
    "md": "text/markdown",
    "mjs": "text/javascript",
    "ndjson": "application/x-ndjson",
    "parquet": "application/vnd.apache.parquet",
    "patch": "text/x-diff",
    "pdf": "application/pdf",
    "pem": "application/x-pem-file",
    "png": "image/png",
    "pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "py": "text/x-python",
    "sarif": "application/sarif+json",
    "sh": "application/x-sh",
    "sql": "application/sql",
    "svg": "image/svg+xml",
    "tar": "application/x-tar",
    "tgz": "application/gzip",
    "toml": "application/toml",
    "tsv": "text/tab-separated-values",
    "txt": "text/plain",
    "wasm": "application/wasm",
    "webp": "image/webp",
    "whl": "application/zip",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "xml": "application/xml",
    "xz": "application/x-xz",
    "yaml": "application/yaml",
    "yml": "application/yaml",
    "zip": "application/zip",
    "zst": "application/zstd",
}


def media_type(file_name: str) -> str:
    """Return the type by the last ending of *file_name*, or that of bytes when it is unknown."""
    _, dot, ending = file_name.rpartition(".")
    return _BY_ENDING.get(ending.lower(), UNKNOWN) if dot else UNKNOWN
