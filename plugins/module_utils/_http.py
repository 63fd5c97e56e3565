# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One HTTP session for all services: bounded in time and size, nothing followed, nothing secret in an error.

An error names the URL without credentials and query, what happened and what to do; never a header, never a body.
"""

from __future__ import annotations

import html
import ipaddress
import os
import queue
import re
import socket
import ssl
import threading
import time
import traceback
from dataclasses import dataclass, field
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any, Callable, Collection, Iterator, List, Mapping, Optional, Union
from urllib.parse import urljoin, urlsplit

from ._errors import RosterError
from ._version import VERSION

try:
    import requests
    import requests.adapters
    import requests.utils
    import urllib3

    REQUESTS_IMPORT_ERROR: Optional[str] = None
except ImportError:
    REQUESTS_IMPORT_ERROR = traceback.format_exc()

USER_AGENT = f"identity.roster/{VERSION}"
LARGEST_BODY = 256 * 1024 * 1024
#: A server that asks for a longer pause than this, in seconds, is not asked again in this run.
LONGEST_PAUSE = 60.0
_FIRST_PAUSE = 0.5
_READING = ("GET", "HEAD")
_RETRIED = (429, 502, 503, 504)
_PIECE = 64 * 1024


class HttpError(RosterError):
    """A request that was not sent, or got no complete answer."""


class TooSlow(HttpError):
    """A request that was not answered in full within the time limit."""


class _ConnectionLost(HttpError):
    """A connection that failed in a way that another attempt may mend."""


@dataclass(frozen=True)
class HttpSettings:
    """How to talk to a server.

    ``timeout`` is in seconds and bounds one attempt from looking up the name to the last byte. ``retries`` counts the
    attempts after the first, of GET and HEAD, and of others as far as the request allows it. ``ca_path`` is a PEM file
    or a directory of hashed ones; without it the environment's or the system's authorities count. ``read_only`` refuses
    every method but GET and HEAD. ``connections`` is how many are kept open, for as many threads.
    """

    validate_certs: bool = True
    ca_path: Optional[str] = None
    timeout: float = 30.0
    retries: int = 2
    read_only: bool = True
    largest_body: int = LARGEST_BODY
    connections: int = 10


@dataclass(frozen=True)
class Answer:
    """A complete answer with any status but a redirect. ``attempts`` says how often was asked."""

    url: str
    status: int
    headers: Mapping[str, str] = field(repr=False)
    content: bytes = field(repr=False)
    attempts: int = 1

    @property
    def content_type(self) -> str:
        """The media type alone, lower case; "" when there is none."""
        return self.headers.get("Content-Type", "").partition(";")[0].strip().lower()

    @property
    def html_title(self) -> Optional[str]:
        """What an HTML page calls itself, in at most 80 printable characters."""
        if self.content_type not in ("text/html", "application/xhtml+xml"):
            return None
        found = re.search(rb"<title[^<>]{0,200}>([^<]{1,1000})", self.content[:_PIECE], re.IGNORECASE)
        return _printable(html.unescape(found.group(1).decode("utf-8", "replace")), 80) or None if found else None


def shown_url(url: str) -> str:
    """A URL for people: without credentials, query and fragment."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return "(an address that is none)"
    host = f"[{host}]" if ":" in host else host
    return _printable(f"{parts.scheme}://{host}{f':{port}' if port else ''}{parts.path}", 200)


def check_url(url: str) -> bool:
    """Whether a URL points to this very machine. Raises HttpError when it is not safe to ask."""
    try:
        parts = urlsplit(url)
        host, _port = parts.hostname, parts.port
    except ValueError:
        raise HttpError("the url can't be read: it looks like https://portal.example.org") from None
    if parts.scheme not in ("http", "https") or not host:
        raise HttpError(f"the url {shown_url(url)} is not complete: it looks like https://portal.example.org")
    if "@" in parts.netloc:
        raise HttpError(f"the url {shown_url(url)} holds credentials: leave them out and use the options for them")
    if not url.isprintable() or " " in url or "\\" in url:
        raise HttpError(f"the url {shown_url(url)} holds a space, a backslash or an unprintable character")
    loopback = _is_loopback(host)
    if parts.scheme == "http" and not loopback:
        raise HttpError(f"the url {shown_url(url)} would send keys and password hashes in clear text: use https")
    return loopback


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _printable(text: str, longest: int) -> str:
    """One line of text from outside that can be shown."""
    line = "".join(character if character.isprintable() else " " for character in text)
    line = " ".join(line.split())
    return line if len(line) <= longest else line[: longest - 1] + "…"


def _authorities(settings: HttpSettings) -> Union[bool, str]:
    """What requests takes as ``verify``. Its own bundle is the last resort: it knows no authority of the site's own."""
    if not settings.validate_certs:
        return False
    for name, path in (
        ("ca_path", settings.ca_path),
        ("REQUESTS_CA_BUNDLE", os.environ.get("REQUESTS_CA_BUNDLE")),
        ("CURL_CA_BUNDLE", os.environ.get("CURL_CA_BUNDLE")),
    ):
        if path:
            _check_authorities(name, path)
            return path
    system = ssl.get_default_verify_paths()
    return system.cafile or (system.capath if system.capath and _is_hashed(system.capath) else True)


def _is_hashed(directory: str) -> bool:
    """Whether OpenSSL finds certificates in a directory: it looks for names like 5ed36f99.0."""
    return any(re.fullmatch(r"[0-9a-f]{8}\.[0-9]+", name) for name in os.listdir(directory))


def _check_authorities(name: str, path: str) -> None:
    try:
        if os.path.isdir(path):
            if not _is_hashed(path):
                raise HttpError(f"{name} {path} is a directory without hashed certificates: run openssl rehash on it")
        else:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=path)
    except ssl.SSLError:
        raise HttpError(f"{name} {path} holds no certificate in PEM form") from None
    except OSError as problem:
        raise HttpError(f"{name} {path} can't be read: {problem.strerror}") from None


class HttpSession:
    """Requests with the same headers to one service, usable from several threads. ``pause`` waits, in seconds."""

    def __init__(
        self,
        settings: HttpSettings,
        headers: Optional[Mapping[str, str]] = None,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._settings = settings
        self._pause = pause
        self._verify = _authorities(settings)
        self._session = requests.Session()
        # Of the environment only the proxies are wanted (see _exchange): .netrc would add credentials of its own, and
        # REQUESTS_CA_BUNDLE would overrule validate_certs=false.
        self._session.trust_env = False
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, requests.adapters.HTTPAdapter(pool_maxsize=settings.connections))
        # Even unfollowed, requests would read a redirect's body without a bound and trip over a broken Location.
        self._session.get_redirect_target = lambda resp: None  # type: ignore[method-assign]
        self._session.headers.update({"User-Agent": USER_AGENT})
        self._session.headers.update(headers or {})
        if not settings.validate_certs:
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)

    def __enter__(self) -> HttpSession:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._session.close()

    def get(self, url: str, **content: Any) -> Answer:
        return self.request("GET", url, **content)

    def request(
        self,
        method: str,
        url: str,
        repeat_on: Optional[Collection[int]] = None,
        repeat_lost: Optional[bool] = None,
        **content: Any,
    ) -> Answer:
        """Ask, and ask again where that is safe. ``content`` is requests' own params, headers, json, data, files.

        ``repeat_on`` are the statuses after which to ask again, ``repeat_lost`` is whether to do so when the connection
        is lost. Without them GET and HEAD are repeated, and nothing that may have changed anything is.

        Raises HttpError when there is no complete answer, for a redirect, and before anything is sent when the session
        is read-only and ``method`` is not.
        """
        method = method.upper()
        if self._settings.read_only and method not in _READING:
            raise HttpError(f"{method} {shown_url(url)} was not sent: this run only reads")
        check_url(url)
        if repeat_on is None:
            repeat_on = _RETRIED if method in _READING else ()
        if repeat_lost is None:
            repeat_lost = method in _READING
        attempts = 1 + max(0, self._settings.retries)
        attempt = 0
        while True:
            attempt += 1
            last = attempt == attempts
            try:
                answer = self._attempt(method, url, content, attempt)
            except _ConnectionLost as problem:
                if last or not repeat_lost:
                    times = f" ({attempt} attempts)" if attempt > 1 else ""
                    raise HttpError(f"{problem}{times}") from None
                seconds = _backoff(attempt)
            else:
                asked = _retry_after(answer.headers.get("Retry-After", ""))
                seconds = _backoff(attempt) if asked is None else asked
                if last or answer.status not in repeat_on or seconds > LONGEST_PAUSE:
                    return answer
            self._pause(seconds)

    def _attempt(self, method: str, url: str, content: Mapping[str, Any], attempt: int) -> Answer:
        """One exchange in a thread of its own: its end can be waited for with a limit, whatever the server does.

        requests' timeouts alone start anew with each byte, with each address of a name, and not at all for DNS.
        """
        outcome: queue.Queue[Union[Answer, BaseException]] = queue.Queue(1)
        deadline = time.monotonic() + self._settings.timeout

        def work() -> None:
            try:
                outcome.put(self._exchange(method, url, content, attempt, deadline))
            except BaseException as problem:
                outcome.put(problem)

        threading.Thread(target=work, name="identity.roster http", daemon=True).start()
        try:
            result = outcome.get(timeout=self._settings.timeout + 0.1)
        except queue.Empty:
            raise self._too_slow(method, url) from None
        if isinstance(result, Answer):
            return result
        if isinstance(result, (RosterError, MemoryError)):
            raise result
        raise self._explained(method, url, result) from None

    def _exchange(self, method: str, url: str, content: Mapping[str, Any], attempt: int, deadline: float) -> Answer:
        # What is meant for this machine must not go through a proxy in clear text.
        proxies = {} if self._is_local(url) else requests.utils.get_environ_proxies(url)
        with self._session.request(
            method,
            url,
            stream=True,
            allow_redirects=False,
            timeout=self._settings.timeout,
            verify=self._verify,
            proxies=proxies,
            **content,
        ) as response:
            if 300 <= response.status_code < 400:
                raise _redirected(method, url, response.status_code, response.headers.get("Location"))
            body = bytearray()
            for piece in response.iter_content(_PIECE):
                body += piece
                if len(body) > self._settings.largest_body:
                    raise self._too_large(method, url)
                if time.monotonic() > deadline:
                    raise self._too_slow(method, url)
            _check_length(method, url, response)
            return Answer(shown_url(url), response.status_code, response.headers, bytes(body), attempt)

    def _is_local(self, url: str) -> bool:
        """Whether a url is this machine's. Raises HttpError for one that this session may not ask."""
        return check_url(url)

    def _too_large(self, method: str, url: str) -> HttpError:
        size = self._settings.largest_body // (1024 * 1024)
        return HttpError(f"{method} {shown_url(url)} answers with more than {size} MiB: that is no roster")

    def _too_slow(self, method: str, url: str) -> HttpError:
        seconds = f"{self._settings.timeout:g}"
        return TooSlow(
            f"{method} {shown_url(url)} was not answered in full within {seconds} seconds: "
            "look after the server, or raise timeout"
        )

    def _explained(self, method: str, url: str, problem: BaseException) -> HttpError:
        """Words for what requests raised. Its own text may hold headers and proxies' passwords: it is not used."""
        where = f"{method} {shown_url(url)}"
        cause = _cause(problem)
        if isinstance(problem, requests.exceptions.SSLError):
            return HttpError(
                f"{where} is not protected by a certificate to trust: {cause or 'TLS could not be set up'}. "
                "Give the authority's certificate as ca_path, and use the host name that the certificate names"
            )
        slow = (requests.exceptions.Timeout, urllib3.exceptions.ReadTimeoutError, socket.timeout)
        if any(isinstance(each, slow) for each in _chain(problem)):
            return self._too_slow(method, url)
        if isinstance(problem, requests.exceptions.ProxyError):
            return _ConnectionLost(f"{where} failed at the proxy of the environment: {cause or 'it refused'}")
        if isinstance(problem, requests.exceptions.ChunkedEncodingError):
            return _ConnectionLost(f"{where} broke off before its end: {cause or 'the connection was closed'}")
        if isinstance(problem, (requests.exceptions.ConnectionError, OSError)) and not isinstance(problem, ValueError):
            return _ConnectionLost(f"{where} failed: {cause or 'the connection was closed without an answer'}")
        return HttpError(f"{where} could not be asked or read ({type(problem).__name__}): look at the url and the key")


def _check_length(method: str, url: str, response: Any) -> None:
    """urllib3 1.26, as Debian 12 has it, takes a body that broke off for a whole one."""
    length = response.headers.get("Content-Length", "")
    if method == "HEAD" or "Transfer-Encoding" in response.headers or not re.fullmatch(r"[0-9]{1,18}", length):
        return
    if response.raw.tell() < int(length):
        raise _ConnectionLost(f"{method} {shown_url(url)} broke off before its end")


def _redirected(method: str, url: str, status: int, location: Optional[str]) -> HttpError:
    try:
        where = f"points to {shown_url(urljoin(url, location))}" if location else "names no place"
    except ValueError:
        where = "points to an address that is none"
    effect = "" if method in _READING else "What was asked may have been done all the same; "
    return HttpError(
        f"{method} {shown_url(url)} answers {status} and {where}: redirects are not followed; "
        f"{effect}give the address that answers by itself"
    )


def _chain(problem: Optional[BaseException]) -> Iterator[BaseException]:
    """An exception and those it came from, however requests and urllib3 wrapped them."""
    seen: List[BaseException] = []
    waiting: List[Any] = [problem]
    while waiting and len(seen) < 20:
        current = waiting.pop(0)
        if not isinstance(current, BaseException) or current in seen:
            continue
        seen.append(current)
        yield current
        waiting += [current.__cause__, current.__context__, getattr(current, "reason", None)]
        waiting += [value for value in current.args if isinstance(value, BaseException)]


def _cause(problem: BaseException) -> Optional[str]:
    """The system's or OpenSSL's own words, which hold nothing of ours."""
    for each in _chain(problem):
        if isinstance(each, ssl.SSLCertVerificationError):
            return each.verify_message.rstrip(".")
        if type(each).__name__ == "CertificateError":  # urllib3 1.26 compares host names itself
            return _printable(str(each), 200)
        if isinstance(each, ssl.SSLError) and each.reason:
            return str(each.reason).lower().replace("_", " ")
        if isinstance(each, socket.gaierror):
            return "the host name is not known"
        if isinstance(each, OSError) and each.errno and each.strerror:
            return each.strerror.lower()
    return None


def _backoff(attempt: int) -> float:
    """Seconds to wait after an attempt, twice as long each time."""
    return min(_FIRST_PAUSE * 2.0 ** min(attempt - 1, 16), LONGEST_PAUSE / 2)


def _retry_after(text: str) -> Optional[float]:
    text = text.strip()
    if re.fullmatch(r"[0-9]{1,9}", text):
        return float(text)
    try:
        then = parsedate_to_datetime(text)
    except (TypeError, ValueError, IndexError):
        return None
    then = then if then.tzinfo else then.replace(tzinfo=timezone.utc)
    return max(0.0, (then - datetime.now(timezone.utc)).total_seconds())
