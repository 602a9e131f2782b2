"""builtin:http trusts only certificates of the host from a known authority."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from taskrunner.executors.work import ExecutorFailure
from tests.unit.executors.builtin.http.web import HOST, OTHER, sends

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from pathlib import Path

    from tests.unit.executors.builtin.http.servers import Site
    from tests.unit.executors.builtin.http.web import Web


def certificate(folder: Path, host: str, *, days: int = 1) -> tuple[Path, Path]:
    """Make a self-signed certificate; return its file, and a file with its key as well."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    now = datetime.now(UTC)
    alternative: x509.GeneralName = x509.DNSName(host)
    if host[0].isdigit():
        alternative = x509.IPAddress(ip_address(host))
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=10))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([alternative]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    both = folder / f"{host}.pem"
    alone = folder / f"{host}.crt"
    alone.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    both.write_bytes(private + alone.read_bytes())
    return alone, both


def tls_site(
    web: Web, host: str = HOST, *, days: int = 1
) -> tuple[Site, Callable[[], ssl.SSLContext]]:
    """Start a site with TLS; return it, and what makes a context that trusts it."""
    alone, both = certificate(web.folder, host, days=days)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(both)
    site = web.site(host, 443, server)
    site.pages["/"] = (200, {"Content-Type": "text/plain"}, b"hello")
    return site, lambda: ssl.create_default_context(cafile=str(alone))


@pytest.mark.parametrize("host", [HOST, "203.0.113.7"])
def test_a_server_with_a_trusted_certificate_is_used(host: str, web: Web) -> None:
    _, trusts = tls_site(web, host)

    assert web.request(f"https://{host}/", make_tls=trusts)["body"] == "hello"
    assert web.network.connections == [(host, 443)]


def test_a_self_signed_certificate_is_not_trusted(web: Web) -> None:
    site, _ = tls_site(web)

    with pytest.raises(ExecutorFailure) as failure:
        web.request(f"https://{HOST}/?key=secret")

    assert str(failure.value).startswith(
        f"the certificate of https://{HOST} is not trusted: self-signed"
    )
    assert "secret" not in str(failure.value)
    assert site.requests == []


def test_a_certificate_of_another_host_is_not_trusted(web: Web) -> None:
    site, trusts = tls_site(web)
    web.network.ports[OTHER, 443] = web.network.ports[HOST, 443]

    with pytest.raises(ExecutorFailure, match=r"is not trusted: Hostname mismatch"):
        web.request(f"https://{OTHER}/", make_tls=trusts)

    assert site.requests == []


def test_an_expired_certificate_is_not_trusted(web: Web) -> None:
    _, trusts = tls_site(web, days=-1)

    with pytest.raises(ExecutorFailure, match=r"is not trusted: certificate has expired"):
        web.request(f"https://{HOST}/", make_tls=trusts)


def test_a_server_without_tls_is_reported(web: Web) -> None:
    web.raw_server(sends(b"HTTP/1.1 400 Bad Request\r\n\r\n"), after=b"\x16")  # a handshake

    with pytest.raises(ExecutorFailure, match=f"^https://{HOST} did not answer with TLS: "):
        web.request(f"https://{HOST}/")


def test_a_truncated_response_fails(web: Web) -> None:
    alone, both = certificate(web.folder, HOST)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(both)

    def cut(connection: socket.socket) -> None:
        with server.wrap_socket(connection, server_side=True) as encrypted:
            encrypted.recv(65536)
            encrypted.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\npay 100")
            # Closed without TLS's close_notify, as somebody on the way could do.

    web.raw_server(cut, after=b"")

    with pytest.raises(ExecutorFailure) as failure:
        web.request(
            f"https://{HOST}/", make_tls=lambda: ssl.create_default_context(cafile=str(alone))
        )

    expected = f"the connection to https://{HOST} broke: it ended early"
    assert str(failure.value) == expected


def test_a_redirect_from_https_to_http_is_not_followed(web: Web) -> None:
    site, trusts = tls_site(web)
    plain = web.site()
    site.pages["/"] = (302, {"Location": f"http://{HOST}/"}, b"")

    with pytest.raises(ExecutorFailure, match=r"it leads from https to http"):
        web.request(f"https://{HOST}/", make_tls=trusts)

    assert plain.requests == []


def test_a_redirect_from_http_to_https_is_followed_as_to_another_origin(web: Web) -> None:
    site, trusts = tls_site(web)
    web.site().pages["/"] = (301, {"Location": f"https://{HOST}/"}, b"")

    web.request(make_tls=trusts, headers={"Authorization": "Bearer x"})

    assert "authorization" not in site.requests[0].headers
