"""Every bound and every patience of a hub or a client, in one place, each with its reason. No I/O."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Limits"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a hub or a client allows; times in seconds.

    Pass a changed copy to `Hub` or `Client`: `Limits(delivery_timeout=60)`.

    Attributes:
        max_body: Bytes of one request or answer. A row list of a million rows takes about 40 MB.
        max_clients: Registered clients. A user has ten; a runaway script must not eat the machine.
        registrations_per_second: Registrations in the long run. Each one is told to everybody; a script
            that registers in an endless loop must not drown the others in events.
        registration_burst: Registrations at once: as many as there may be clients. A load test is not an
            attack.
        declared: About how many bytes of memory the metadata and subscriptions of one client may take.
            Real ones take a few kilobytes; each change of them goes to everybody.
        declared_all: The same for all clients together. What takes 32 kB at most is always taken, so that
            nobody keeps the others from having a name.
        max_pending_calls: Calls that one caller may have unanswered; the oldest is ended when one more
            comes.
        outbox: Messages that wait for one client. A full outbox refuses further ones, the others go on.
        outbox_weight: About how many bytes may wait for one client: two of the largest messages.
        delivery_patience: How long one delivery may hold up the next to the same client, once that has read
            it. A client that calls the hub back while it handles a message would deadlock without an end
            to it.
        deliveries_in_flight: Deliveries to one client that may be open at once, once patience is over.
        delivery_timeout: How long a client may take to accept a delivery. DS9 keeps it open while it
            loads an image.
        refused_connections: Refused connections in a row after which a client is taken for dead (HUB-46).
        refused_pause: Pause before a refused connection is tried again.
        vigil_interval: How often a client that owes an answer is checked for being there still (HUB-60).
        probe_interval: How often a client may be asked by a connection whether it is there, where nothing
            else tells: a program that is at work may take a connection without a request for a broken
            one.
        tap: Characters of its traffic that a hub keeps for a client that asks for it (`asyncsamp record`);
            half a minute of ten thousand messages a second.
        max_wait: Ceiling of callAndWait, also when no timeout is asked for (MSG-29); as long as JSAMP's.
        shutdown_patience: How long a closing hub waits for clients to take the news.
        state_interval: Pause between two writes of a hub's state file, under load; a first change is
            written at once.
        restored_silence: How long a client that cannot be called may do nothing after a hub has come back
            from a crash: nothing else tells whether it has died meanwhile.
        lockfile_interval: How often a hub looks whether its lockfile is still there, and puts it back if
            it is not.
        request_timeout: How long a client waits for the hub to answer an operation that answers at once
            (MSG-38).
        call_timeout: How long a call awaits its response when it names no timeout; a large table takes
            minutes.
        hub_check_interval: How often a hub that keeps no connection open is asked whether it lives.
        close_timeout: How long a leaving client waits for its handlers before it cancels them.
        max_handlers: Handlers that one client may have running; more calls are refused, notifications
            dropped.
        stream: Messages that wait in one stream; see `MessageStream` for what happens when it is full.
        stream_bytes: About how many bytes may wait in one stream: two of the largest messages. Of tables and
            images, which are loaded before they are read, it is the size of the file that counts.
        reconnect_first: First pause before a lost hub is looked for again; doubled each time.
        reconnect_last: Longest pause between two looks for a lost hub: a look reads a small file, and a
            client is back within two seconds however long there was no hub.
        max_web_clients: Web clients registered at once; fewer than `max_clients`, so that no page shuts
            the tools out.
        web_callbacks: Callbacks kept for a web client until it pulls them, as many as JSAMP keeps.
        web_callback_bytes: Bytes of callbacks kept for a web client; room for two messages of the largest
            size.
        web_poll: Ceiling of one pull. What samp.js and JSAMP's client ask for.
        web_polls_per_site: Pulls that pages of one site may have waiting. A browser keeps at most six
            connections to one host for one site, and some must be left for calls.
        web_call_patience: How long a call of a page may wait, about, for a connection that pulls of its
            site occupy.
        web_poll_early: How long a pull has waited at least before another page of its site takes its
            place. It costs about 25 requests a second as long as more than four pages of a site are open.
        web_poll_shortest: The same, where there are so many pages that `web_call_patience` cannot be
            kept.
        web_silence: How long a page that can be called may go without a pull or a call. Browsers let the
            timers of hidden pages run once a minute.
        web_silence_broken: How long a page whose pull broke off may go without a new one: it was closed,
            or reloads.
        web_silence_sender: How long a page that never pulls may go without a call.
        web_consent_timeout: How long a page may wait until the user has answered for it, other questions
            before it included.
        web_uploads: Uploads that one web client may have at once. Each keeps a file descriptor.
        web_uploads_all: Uploads that all web clients may have at once; never more than a quarter of the
            file descriptors that the process may have.
        web_upload_bytes: Bytes that one web client may have uploaded at once.
        web_upload_bytes_all: Bytes that all web clients may have uploaded at once; they lie in the folder
            for temporary files.
        web_port_retry: How often a Web Profile whose port is taken looks whether it has become free.
        reach_beat: How often hubs of a room tell each other that they are there; less often above 50
            hubs, so that a hub sends 50 of them a second at most.
        reach_here: How often a hub tells the whole room that it is there, for those who have lost sight
            of it.
        reach_refused: How long the server may say that nobody listens for a hub before that is given
            up. The way between two servers may be away for a second.
        reach_grace: How long that says nothing after our own way to the server has come back: the
            others' may not yet.
        reach_patience: How long a hub may be silent before it is given up, with its clients and the
            calls that they owe an answer. Whatever is shorter costs no message.
        reach_resend: How long a peer may acknowledge nothing new before it is sent everything again.
        reach_hubs: Hubs of a room that are met. Each one tells each other that it is there. At most half of
            them are of one account, and so of `reach_clients`.
        reach_clients: Clients of other hubs; fewer than `max_clients`, so that no room shuts the own
            tools out.
        reach_window: Frames to one hub that may be under way. At 20 ms it lets 100,000 messages a
            second through.
        reach_window_bytes: Bytes to one hub that may be under way, before messages wait for it.
    """

    max_body: int = 64 * 1024 * 1024
    max_clients: int = 2_000
    registrations_per_second: float = 50.0
    registration_burst: int = 2_000
    declared: int = 4 * 1024 * 1024
    declared_all: int = 128 * 1024 * 1024
    max_pending_calls: int = 10_000
    outbox: int = 5_000
    outbox_weight: int = 128 * 1024 * 1024
    delivery_patience: float = 1.0
    deliveries_in_flight: int = 16
    delivery_timeout: float = 300.0
    refused_connections: int = 3
    refused_pause: float = 0.25
    vigil_interval: float = 0.75
    probe_interval: float = 10.0
    tap: int = 128 * 1024 * 1024
    max_wait: float = 43_200.0
    shutdown_patience: float = 1.0
    state_interval: float = 0.1
    restored_silence: float = 3_600.0
    lockfile_interval: float = 10.0
    request_timeout: float = 30.0
    call_timeout: float = 300.0
    hub_check_interval: float = 10.0
    close_timeout: float = 2.0
    max_handlers: int = 1_000
    stream: int = 1_000
    stream_bytes: int = 128 * 1024 * 1024
    reconnect_first: float = 0.1
    reconnect_last: float = 1.0
    max_web_clients: int = 500
    web_callbacks: int = 4_096
    web_callback_bytes: int = 128 * 1024 * 1024
    web_poll: float = 600.0
    web_polls_per_site: int = 4
    web_call_patience: float = 0.35
    web_poll_early: float = 0.25
    web_poll_shortest: float = 0.1
    web_silence: float = 180.0
    web_silence_broken: float = 8.0
    web_silence_sender: float = 3_600.0
    web_consent_timeout: float = 600.0
    web_uploads: int = 200
    web_uploads_all: int = 1_000
    web_upload_bytes: int = 512 * 1024 * 1024
    web_upload_bytes_all: int = 2 * 1024 * 1024 * 1024
    web_port_retry: float = 5.0
    reach_beat: float = 1.0
    reach_here: float = 5.0
    reach_refused: float = 1.75
    reach_grace: float = 5.0
    reach_patience: float = 15.0
    reach_resend: float = 2.0
    reach_hubs: int = 100
    reach_clients: int = 500
    reach_window: int = 2_000
    reach_window_bytes: int = 8 * 1024 * 1024
