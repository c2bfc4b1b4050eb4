"""Why a figure may be missed: what profiles say (py-spy, two cores, CPython 3.11). Shown where it is."""

from __future__ import annotations

__all__ = ["REASONS"]

REASONS = {
    "p99 of notify at a quarter of full load": (
        "A quarter of our load is seven times a quarter of JSAMP's, on the same two cores, one of "
        "which the load takes; at equal load see the row of that name."
    ),
    "p99 of notify at equal load": (
        "At some hundred messages a second both hubs are idle nearly always, and the slowest "
        "hundredth is what the system takes to wake two processes, the same for both; JSAMP's own "
        "part in it is its collector's."
    ),
    "notify, against bare asyncio relay": (
        "Of the hub's busy time 32 % are the system's writing and 21 % its waiting and reading, which "
        "the relay has, too; looking at the marks of the message takes 9 %. No other function takes "
        "more than 2 %."
    ),
    "DirectConnection call and reply": (
        "A quarter of the time is asyncio's loop and its tasks, 8 % the estimate of what waiting "
        "messages take, 7 % the copies of what is handed over, 4 % the check of the parameters; no "
        "other function takes more than 3 %."
    ),
    "notify 1 MB": (
        "Of the hub's time at a megabyte, 20 % go into looking at the marks of the message, 17 % "
        "and 6 % are the system's writing and reading, 12 % two copies, of the body and of the "
        "value that is cut out of it; the rest is in pieces of less than 3 %."
    ),
    "notify 10 MB": (
        "Of the hub's time at a megabyte, 20 % go into looking at the marks of the message, 17 % "
        "and 6 % are the system's writing and reading, 12 % two copies, of the body and of the "
        "value that is cut out of it; the rest is in pieces of less than 3 %."
    ),
    "notify 100,000 rows": (
        "Of the hub's time 24 % go into finding where the list ends, since no tag in it may be "
        "taken for another, 18 % are the system's writing, 14 % the place of the body and a copy "
        "of it; the rest is in pieces of less than 4 %."
    ),
    "our Client, notify": (
        "Both clients are one process: it sends a request and reads its answer, and reads a "
        "request and answers it. System calls take a fifth of its time, reading XML a ninth, "
        "asyncio's loop a ninth; no other function takes more than two hundredths."
    ),
    "our Client, call": (
        "Both clients are one process, and a call is four HTTP exchanges in it. System calls take "
        "a fifth of its time, reading XML a ninth, asyncio's loop a ninth; no other function "
        "takes more than two hundredths."
    ),
    "WebConnection, call": (
        "The hub is the limit: it looks for the names of files in all that a web client sends, "
        "and rewrites URLs on the way to it, so a message is decoded and encoded; that is a third "
        "of its time."
    ),
    "2,000,000 rows x 6 to TOPCAT": (
        "Writing the 80 MB takes us 0.3 s of processor time. The rest is TOPCAT's: see what it "
        "takes for the same table as a plain FITS file of which it gets the path, in the table "
        "below."
    ),
    "200,000 rows by path": (
        "The path goes at once; what takes time is the recipient's reading, and the start of its "
        "first thread for it."
    ),
    "a million rows come in: longest stall": (
        "No step of the reading holds the interpreter for longer than 5 ms by itself; what is "
        "seen beyond is the wait for a processor, as reader, sender and hub share two cores."
    ),
}
