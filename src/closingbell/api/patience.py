"""Patience: a connection that neither sends nor reads is let go after a while."""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

#: A request, its body included, arrives whole within so long.
READ_S = 30.0
#: What is sent is taken up within so long; a client that reads at all takes up something.
WRITE_S = 30.0
#: A request's line and headers together.
_LONGEST_HEAD = 64 * 1024


class PatientProtocol(HttpToolsProtocol):
    """HTTP as uvicorn speaks it, with an end to waiting for the other side."""

    _read_timer: asyncio.TimerHandle | None = None
    _write_timer: asyncio.TimerHandle | None = None
    _head_bytes: int | None = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin: the first request is waited for."""
        super().connection_made(transport)
        self._await_request()

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self._request_came()
        self.resume_writing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read what came, unless the head of a request does not end."""
        super().data_received(data)
        if self._head_bytes is not None:
            self._head_bytes += len(data)
            if self._head_bytes > _LONGEST_HEAD and not self.transport.is_closing():
                self.send_400_response("The request's headers are too long.")

    def on_message_begin(self) -> None:
        """Note that a request begins."""
        super().on_message_begin()
        self._head_bytes = 0
        if self._read_timer is None:
            self._await_request()

    def on_headers_complete(self) -> None:
        """Note that the headers are whole."""
        self._head_bytes = None
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Note that the request is whole."""
        self._request_came()
        self._head_bytes = 0
        super().on_message_complete()

    def pause_writing(self) -> None:
        """Wait for a client that does not read, and not for ever."""
        super().pause_writing()
        if self._write_timer is None:
            self._write_timer = self.loop.call_later(WRITE_S, self.transport.abort)

    def resume_writing(self) -> None:
        """Go on: the client reads."""
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None
        if self.flow is not None:
            super().resume_writing()

    def timeout_keep_alive_handler(self) -> None:
        """Let an idle connection go; what it did not read by now is dropped."""
        if self.transport.get_write_buffer_size():
            self.transport.abort()
        else:
            super().timeout_keep_alive_handler()

    def _await_request(self) -> None:
        self._read_timer = self.loop.call_later(READ_S, self.transport.abort)

    def _request_came(self) -> None:
        if self._read_timer is not None:
            self._read_timer.cancel()
            self._read_timer = None
